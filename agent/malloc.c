/* The malloc family. The real functions are the next ones in the search order, so that another allocator (jemalloc, tcmalloc) stays in force. */
#include "slow.h"
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

static void *boot_malloc(size_t n);
static void *boot_calloc(size_t count, size_t n);
static void *boot_realloc(void *p, size_t n);
static void boot_free(void *p);
static void *boot_memalign(size_t alignment, size_t n);
static int boot_posix_memalign(void **out, size_t alignment, size_t n);

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
} real = { boot_malloc, boot_calloc, boot_realloc, boot_free, boot_memalign, boot_memalign, boot_posix_memalign };

/* ---- before the real functions are known: dlsym may itself allocate ---- */

static _Alignas(16) char pool[32768];
static size_t pool_used;
static bool resolving;

static bool in_pool(const void *p) { return (uintptr_t)p - (uintptr_t)pool < sizeof pool; }
static void *from_pool(size_t n) {
    n = (n + 31) & ~(size_t)15; /* 16 bytes in front hold the size */
    if (pool_used + n > sizeof pool) return NULL;
    size_t *head = (size_t *)(pool + pool_used);
    pool_used += n;
    *head = n - 16;
    return (char *)head + 16;
}
static void resolve(void) {
    resolving = true;
    void *m = dlsym(RTLD_NEXT, "malloc"), *c = dlsym(RTLD_NEXT, "calloc"), *r = dlsym(RTLD_NEXT, "realloc"), *f = dlsym(RTLD_NEXT, "free"),
         *a = dlsym(RTLD_NEXT, "memalign"), *l = dlsym(RTLD_NEXT, "aligned_alloc"), *p = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&real.malloc = m, *(void **)&real.calloc = c, *(void **)&real.realloc = r, *(void **)&real.free = f;
    *(void **)&real.memalign = a, *(void **)&real.aligned_alloc = l, *(void **)&real.posix_memalign = p;
    resolving = false;
}
static void *boot_malloc(size_t n) {
    if (resolving) return from_pool(n);
    resolve();
    return real.malloc(n);
}
static void *boot_calloc(size_t count, size_t n) {
    if (resolving) return from_pool(count * n); /* the pool is zero */
    resolve();
    return real.calloc(count, n);
}
static void *boot_realloc(void *p, size_t n) {
    if (!resolving) resolve();
    if (!resolving && !in_pool(p)) return real.realloc(p, n);
    void *q = from_pool(n);
    if (q && p) memcpy(q, p, ((size_t *)p)[-2] < n ? ((size_t *)p)[-2] : n);
    return q;
}
static void boot_free(void *p) {
    if (resolving || in_pool(p)) return;
    resolve();
    real.free(p);
}
static void *boot_memalign(size_t alignment, size_t n) {
    if (resolving) return NULL;
    resolve();
    return real.memalign(alignment, n);
}
static int boot_posix_memalign(void **out, size_t alignment, size_t n) {
    if (resolving) return ENOMEM;
    resolve();
    return real.posix_memalign(out, alignment, n);
}

/* ---- wrappers ---- */

#define CALLER __builtin_return_address(0)

/* Takes the request off the countdown; true: to the slow path. */
static inline bool charge(size_t n) {
    int64_t left = tls_left - (int64_t)n;
    tls_left = left;
    return UNLIKELY(left < 0 || n >= BIG);
}

static void born(struct slow *s, void *p, size_t n, const void *caller) {
    if (s->t) {
        slow_birth(s, p, n, DOMAIN_MALLOC, caller);
        if (UNLIKELY(!g_python_settled || (s->t->births == 1 && !g_python_through_malloc))) python_probe(); /* later one birth in 64 */
    }
    slow_leave(s);
}

static __attribute__((noinline)) void *malloc_slow(size_t n, const void *caller) {
    struct slow s = slow_enter(n);
    void *p = real.malloc(n);
    born(&s, p, n, caller);
    return p;
}
EXPORT void *malloc(size_t n) {
    if (charge(n)) return malloc_slow(n, CALLER);
    return real.malloc(n);
}

static __attribute__((noinline)) void *calloc_slow(size_t count, size_t size, size_t n, const void *caller) {
    struct slow s = slow_enter(n);
    void *p = real.calloc(count, size);
    born(&s, p, n, caller);
    return p;
}
EXPORT void *calloc(size_t count, size_t size) {
    size_t n;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &n))) return real.calloc(count, size); /* fails with ENOMEM */
    if (charge(n)) return calloc_slow(count, size, n, CALLER);
    return real.calloc(count, size);
}

static COLD void free_marked(void *p) {
    if (UNLIKELY(!has_mark(p))) {
        real.free(p);
        return;
    }
    struct slow s = slow_enter(0);
    slow_death(&s, p, DOMAIN_MALLOC, true);
    errno = s.saved_errno;
    slow_leave(&s);
    real.free(p);
}
EXPORT void free(void *p) {
    if (UNLIKELY(marked(p))) {
        free_marked(p);
        return;
    }
    if (UNLIKELY(in_pool(p))) return;
    real.free(p);
}

static __attribute__((noinline)) void *realloc_slow(void *p, size_t n, const void *caller) {
    bool was = marked(p) && has_mark(p);
    struct slow s = slow_enter(n);
    if (was) { /* the death comes first: once the real call returns, another thread may have the address */
        if (s.t && s.hit && n && out_ready(s.t)) record_control(s.t, CONTROL_REALLOC, 0);
        slow_death(&s, p, DOMAIN_MALLOC, false);
    }
    errno = s.saved_errno;
    void *q = real.realloc(p, n);
    struct thread *t = s.t ? s.t : slow_serving();
    if (!q && n && was && mark(p) && t && out_ready(t)) {
        int kept = errno;
        record_control(t, CONTROL_UNDO, 0);
        errno = kept;
    }
    born(&s, q, n, caller);
    return q;
}
EXPORT void *realloc(void *p, size_t n) {
    if (UNLIKELY(in_pool(p))) {
        void *q = malloc(n);
        if (q) memcpy(q, p, ((size_t *)p)[-2] < n ? ((size_t *)p)[-2] : n);
        return q;
    }
    bool slow = charge(n);
    if (LIKELY(!slow && !marked(p))) return real.realloc(p, n);
    return realloc_slow(p, n, CALLER);
}

EXPORT void *reallocarray(void *p, size_t count, size_t size) {
    size_t n;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &n))) {
        errno = ENOMEM;
        return NULL;
    }
    if (UNLIKELY(in_pool(p))) return realloc(p, n);
    bool slow = charge(n);
    if (LIKELY(!slow && !marked(p))) return real.realloc(p, n);
    return realloc_slow(p, n, CALLER);
}

static __attribute__((noinline)) void *aligned_slow(void *(*from)(size_t, size_t), size_t alignment, size_t n, const void *caller) {
    struct slow s = slow_enter(n);
    void *p = from(alignment, n);
    born(&s, p, n, caller);
    return p;
}
EXPORT void *memalign(size_t alignment, size_t n) {
    if (charge(n)) return aligned_slow(real.memalign, alignment, n, CALLER);
    return real.memalign(alignment, n);
}
EXPORT void *aligned_alloc(size_t alignment, size_t n) {
    if (charge(n)) return aligned_slow(real.aligned_alloc, alignment, n, CALLER);
    return real.aligned_alloc(alignment, n);
}
EXPORT void *valloc(size_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (charge(n)) return aligned_slow(real.memalign, page, n, CALLER);
    return real.memalign(page, n);
}
EXPORT void *pvalloc(size_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (n > SIZE_MAX - page) { /* rounding up would wrap around */
        errno = ENOMEM;
        return NULL;
    }
    n = (n + page - 1) & ~(page - 1);
    if (charge(n)) return aligned_slow(real.memalign, page, n, CALLER);
    return real.memalign(page, n);
}
EXPORT int posix_memalign(void **out, size_t alignment, size_t n) {
    if (!charge(n)) return real.posix_memalign(out, alignment, n);
    struct slow s = slow_enter(n);
    int error = real.posix_memalign(out, alignment, n);
    born(&s, error ? NULL : *out, n, CALLER);
    return error;
}
