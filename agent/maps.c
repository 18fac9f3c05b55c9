/* The program's own anonymous mappings (mmap, munmap, mremap). File mappings are the pages view's business: their size says little about memory used.
 * Reservations (PROT_NONE) hold no memory and are left out. */
#include "slow.h"
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic uint32_t live_mappings;

static void mapped(void *p, size_t bytes, const void *caller) {
    struct slow s = slow_enter(0);
    if (s.t && out_ready(s.t)) {
        int kept = errno;
        record_full(s.t, true, frames_walk(s.t, caller), (uintptr_t)p, bytes, DOMAIN_MMAP);
        atomic_fetch_add_explicit(&live_mappings, 1, memory_order_relaxed);
        errno = kept;
    }
    slow_leave(&s);
}

static void unmapped(void *p, size_t bytes) {
    struct slow s = slow_enter(0);
    if (s.t && out_ready(s.t)) record_full(s.t, false, 0, (uintptr_t)p, bytes, DOMAIN_MMAP);
    errno = s.saved_errno;
    slow_leave(&s);
}

static void *map(void *at, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller) {
    void *p = (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
    if (p != MAP_FAILED && flags & MAP_ANONYMOUS && protection & PROT_WRITE) mapped(p, (bytes + 4095) & ~(size_t)4095, caller);
    return p;
}
EXPORT void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return map(at, bytes, protection, flags, fd, offset, __builtin_return_address(0));
}
EXPORT void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset) {
    return map(at, bytes, protection, flags, fd, offset, __builtin_return_address(0));
}
EXPORT int munmap(void *p, size_t bytes) {
    if (atomic_load_explicit(&live_mappings, memory_order_relaxed)) unmapped(p, (bytes + 4095) & ~(size_t)4095);
    return (int)syscall(SYS_munmap, p, bytes);
}
EXPORT void *mremap(void *p, size_t old_bytes, size_t bytes, int flags, ...) {
    void *to = NULL;
    if (flags & MREMAP_FIXED) {
        va_list rest;
        va_start(rest, flags);
        to = va_arg(rest, void *);
        va_end(rest);
    }
    void *q = (void *)syscall(SYS_mremap, p, old_bytes, bytes, flags, to);
    if (q != MAP_FAILED && atomic_load_explicit(&live_mappings, memory_order_relaxed)) {
        unmapped(p, (old_bytes + 4095) & ~(size_t)4095);
        mapped(q, (bytes + 4095) & ~(size_t)4095, __builtin_return_address(0));
    }
    return q;
}
