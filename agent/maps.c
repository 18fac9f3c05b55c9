/* The program's own anonymous mappings (mmap, munmap, mremap). File mappings are the pages view's business: their size says little about memory used.
 * Reservations (PROT_NONE) hold no memory and are left out; so is what another malloc or mimalloc maps to hold blocks, which are told one by one. */
#include "slow.h"
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic bool any; /* no mapping has been recorded yet: munmap has nothing to tell */
static atomic_flag maps_lock = ATOMIC_FLAG_INIT;

void lock_maps(void) {
    while (atomic_flag_test_and_set_explicit(&maps_lock, memory_order_acquire)) syscall(SYS_sched_yield);
}
void unlock_maps(void) { atomic_flag_clear_explicit(&maps_lock, memory_order_release); }

static size_t whole_pages(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) & ~(page - 1);
}

/* Nested requests (an allocator's, a signal handler's) stay out of the lock, which their thread may hold. */
static struct slow enter(void) {
    struct slow s = slow_enter(0);
    if (s.t) lock_maps();
    return s;
}
static void leave(struct slow *s) {
    if (s->t) unlock_maps();
    slow_leave(s);
}
static void tell(struct slow *s, bool birth, void *p, size_t bytes, const void *caller) {
    int kept = errno;
    if (out_ready(s->t)) record_full(s->t, birth, birth ? frames_walk(s->t, caller) : 0, (uintptr_t)p, whole_pages(bytes), DOMAIN_MMAP);
    atomic_store_explicit(&any, true, memory_order_relaxed);
    errno = kept;
}

static void *map(void *at, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller) {
    bool ours = flags & MAP_ANONYMOUS && protection & PROT_WRITE && !python_is_allocator(caller);
    if (!ours) return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
    struct slow s = enter();
    void *p = (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
    if (s.t && p != MAP_FAILED) tell(&s, true, p, bytes, caller);
    leave(&s);
    return p;
}
EXPORT void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return map(at, bytes, protection, flags, fd, offset, __builtin_return_address(0));
}
EXPORT void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset) {
    return map(at, bytes, protection, flags, fd, offset, __builtin_return_address(0));
}

EXPORT int munmap(void *p, size_t bytes) {
    if (!atomic_load_explicit(&any, memory_order_relaxed)) return (int)syscall(SYS_munmap, p, bytes);
    struct slow s = enter();
    int result = (int)syscall(SYS_munmap, p, bytes);
    if (s.t && result == 0) tell(&s, false, p, bytes, NULL);
    leave(&s);
    return result;
}

EXPORT void *mremap(void *p, size_t old_bytes, size_t bytes, int flags, ...) {
    void *to = NULL;
    if (flags & MREMAP_FIXED) {
        va_list rest;
        va_start(rest, flags);
        to = va_arg(rest, void *);
        va_end(rest);
    }
    struct slow s = enter();
    void *q = (void *)syscall(SYS_mremap, p, old_bytes, bytes, flags, to);
    /* As one realloc: a reader that knows no mapping at p (a file's, a reservation) takes the new one for none of ours either. */
    if (s.t && q != MAP_FAILED && old_bytes && atomic_load_explicit(&any, memory_order_relaxed)) {
        int kept = errno;
        if (out_ready(s.t)) record_control(s.t, CONTROL_REALLOC, 0);
        errno = kept;
        tell(&s, false, p, old_bytes, NULL);
        tell(&s, true, q, bytes, __builtin_return_address(0));
    }
    leave(&s);
    return q;
}
