/* The interpreter in this process: which one, its allocator domains, its thread states. Symbols come from the dynamic table, which stripped and static
 * interpreters export too. */
#include "agent.h"
#include "frames_table.h"
#include "layout.h"
#include "slow.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct layout L;
uint32_t g_python_hex;
bool g_python_hooks, g_python_late, g_python_settled, g_python_through_malloc, g_python_other_malloc;

typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *p, size_t size);
    void (*free)(void *ctx, void *p);
} allocator; /* PyMemAllocatorEx */
typedef struct {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *p, size_t size);
} arena_allocator; /* PyObjectArenaAllocator */
enum { RAW, MEM, OBJ };

static void (*get_allocator)(int, allocator *), (*set_allocator)(int, allocator *);
static void (*get_arena)(arena_allocator *), (*set_arena)(arena_allocator *);
static const char *(*unchecked_get)(void), *(*gilstate_get)(void);
static int (*is_initialized)(void);
static void (*code_dealloc)(void *);
static const char *code_type;
static allocator original[3], pymalloc, raw; /* pymalloc, raw: what served objects and the raw domain before anything was changed */
static arena_allocator original_arena;

/* Requests above this size reach malloc and are counted there. */
#define SMALL 512

static struct { uintptr_t start, end; } own_text[4];

bool python_owns(const void *address) {
    uintptr_t a = (uintptr_t)address;
    for (int i = 0; i < 4; i++)
        if (a - own_text[i].start < own_text[i].end - own_text[i].start) return true;
    return false;
}

bool python_is_allocator(const void *caller) {
    uintptr_t a = (uintptr_t)caller;
    return a - own_text[1].start < own_text[1].end - own_text[1].start; /* a preloaded malloc; libc's own does not come by our wrapper */
}

/* ---- frames ---- */

static inline const char *load(const char *p, uint16_t offset) { return *(char *const *)(p + offset); }

/* The calling thread's own state. Up to 3.11 `unchecked_get` answers for the holder of the GIL, which may be another thread. */
static inline const char *thread_state(unsigned long self) {
    const char *ts = unchecked_get();
    if (LIKELY(ts && (L.minor >= 12 || *(const unsigned long *)(ts + L.thread_id) == self))) return ts;
    return gilstate_get();
}

static bool holds_gil(void) {
    const char *ts = unchecked_get();
    return ts && (L.minor >= 12 || *(const unsigned long *)(ts + L.thread_id) == (unsigned long)pthread_self());
}

const char *python_frame(const struct thread *t) {
    if (UNLIKELY(!unchecked_get)) return NULL;
    const char *ts = thread_state(t->self);
    if (!ts) return NULL;
    if (L.minor <= 10) return load(ts, L.frame);
    if (L.minor >= 13) return load(ts, L.current_frame);
    const char *cframe = load(ts, L.cframe);
    return cframe ? load(cframe, L.cframe_current) : NULL;
}

/* ---- allocator domains: requests that Python's own small-block allocator serves ---- */

static void *hook_slow(allocator *o, size_t count, size_t size, bool zeroed) {
    size_t bytes = count * size;
    struct slow s = slow_enter(bytes);
    void *p = zeroed ? o->calloc(o->ctx, count, size) : o->malloc(o->ctx, size);
    if (s.t) slow_birth(&s, p, bytes ? bytes : 1, bytes <= SMALL ? DOMAIN_PYMALLOC : DOMAIN_MALLOC, NULL);
    slow_leave(&s);
    return p;
}

static void *hook_malloc(void *ctx, size_t size) {
    allocator *o = ctx;
    if (UNLIKELY(size - 1 >= SMALL)) return o->malloc(o->ctx, size);
    int64_t left = tls_left - (int64_t)size;
    tls_left = left;
    if (LIKELY(left >= 0)) return o->malloc(o->ctx, size);
    return hook_slow(o, 1, size, false);
}

static void *hook_calloc(void *ctx, size_t count, size_t size) {
    allocator *o = ctx;
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes) || bytes - 1 >= SMALL)) return o->calloc(o->ctx, count, size);
    int64_t left = tls_left - (int64_t)bytes;
    tls_left = left;
    if (LIKELY(left >= 0)) return o->calloc(o->ctx, count, size);
    return hook_slow(o, count, size, true);
}

static COLD void hook_free_marked(allocator *o, void *p) {
    if (UNLIKELY(!has_mark(p))) {
        o->free(o->ctx, p);
        return;
    }
    struct slow s = slow_enter(0);
    slow_death(&s, p, DOMAIN_PYMALLOC, true);
    slow_leave(&s);
    o->free(o->ctx, p);
}

static void hook_free(void *ctx, void *p) {
    allocator *o = ctx;
    if (UNLIKELY(marked(p))) {
        hook_free_marked(o, p);
        return;
    }
    o->free(o->ctx, p);
}

/* While the allocator below serves: nothing of the agent's is half done, so a block that dies inside (one that malloc's wrapper recorded before our hooks
 * were put in again) is told although the thread is in its slow path. */
static bool serve(struct slow *s, bool on) {
    if (!s->t) return false;
    bool before = s->t->serving;
    s->t->serving = on;
    return before;
}

/* A marked block dies before the real call: afterwards another thread may already have its address. The new block is counted here whatever its size,
 * masked from malloc's wrapper, so that death and birth stand together as one realloc. */
static void *hook_realloc_slow(allocator *o, void *p, size_t size) {
    bool was = marked(p) && has_mark(p);
    struct slow s = slow_enter(size);
    bool outer = serve(&s, true);
    if (was) {
        if (s.t && s.hit && out_ready(s.t)) record_control(s.t, CONTROL_REALLOC, 0);
        slow_death(&s, p, DOMAIN_PYMALLOC, false);
    }
    errno = s.saved_errno;
    void *q = o->realloc(o->ctx, p, size);
    if (!q && was && mark(p) && s.t && out_ready(s.t)) record_control(s.t, CONTROL_UNDO, 0);
    serve(&s, outer);
    if (s.t) slow_birth(&s, q, size ? size : 1, size - 1 < SMALL ? DOMAIN_PYMALLOC : DOMAIN_MALLOC, NULL);
    slow_leave(&s);
    return q;
}

static void *hook_realloc(void *ctx, void *p, size_t size) {
    allocator *o = ctx;
    /* What malloc serves and nobody recorded is malloc's to count. */
    if (LIKELY(!marked(p)) && UNLIKELY(size - 1 >= SMALL)) return o->realloc(o->ctx, p, size);
    int64_t left = tls_left - (int64_t)size;
    tls_left = left;
    if (LIKELY(left >= 0 && !marked(p))) return o->realloc(o->ctx, p, size);
    return hook_realloc_slow(o, p, size);
}

/* On top of debug hooks and mimalloc: every size, and always with the requests below masked. */
static void *late_malloc(void *ctx, size_t size) {
    tls_left -= (int64_t)size;
    return hook_slow(ctx, 1, size, false);
}
static void *late_calloc(void *ctx, size_t count, size_t size) {
    allocator *o = ctx;
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) return o->calloc(o->ctx, count, size);
    tls_left -= (int64_t)bytes;
    return hook_slow(o, count, size, true);
}
static void *late_realloc(void *ctx, void *p, size_t size) {
    tls_left -= (int64_t)size;
    return hook_realloc_slow(ctx, p, size);
}

/* Arenas are told although they are asked for inside the slow path of the block that needs one: nothing is half written there. */
static struct thread *arena_thread(const struct slow *s) {
    if (s->t) return s->t;
    return atomic_load_explicit(g_recording, memory_order_relaxed) ? tls_thread : NULL;
}

static void *hook_arena_alloc(void *ctx, size_t size) {
    (void)ctx;
    struct slow s = slow_enter(0);
    int64_t nested = tls_left;
    tls_left = OFF; /* also inside another slow path: the mapping wrapper must not take it for the program's */
    void *p = original_arena.alloc(original_arena.ctx, size);
    tls_left = nested;
    int kept = errno;
    struct thread *t = arena_thread(&s);
    if (p && t && out_ready(t)) record_full(t, true, 0, (uintptr_t)p, size, DOMAIN_ARENA);
    errno = kept;
    slow_leave(&s);
    return p;
}

static void hook_arena_free(void *ctx, void *p, size_t size) {
    (void)ctx;
    struct slow s = slow_enter(0);
    struct thread *t = arena_thread(&s);
    if (p && t && out_ready(t)) record_full(t, false, 0, (uintptr_t)p, size, DOMAIN_ARENA);
    errno = s.saved_errno;
    int64_t nested = tls_left;
    tls_left = OFF;
    original_arena.free(original_arena.ctx, p, size);
    tls_left = nested;
    slow_leave(&s);
}

/* ---- putting the hooks in, and back in ---- */

static void install(int domain, bool all) {
    allocator now;
    get_allocator(domain, &now);
    if (now.malloc == hook_malloc || now.malloc == late_malloc) return;
    original[domain] = now;
    allocator ours = { &original[domain], hook_malloc, hook_calloc, hook_realloc, hook_free };
    allocator late = { &original[domain], late_malloc, late_calloc, late_realloc, hook_free };
    set_allocator(domain, all ? &late : &ours);
}

/* From malloc's slow path nothing may be tried out: whoever is on top may hold a lock of its own, or insist on the GIL. So the allocators are looked at instead. A
 * debug hook is { id, inner allocator }, tracemalloc { inner allocator }, and what is at the bottom has no context. */
static bool look(const void *at, void *to, size_t bytes) {
    struct iovec here = { to, bytes }, there = { (void *)at, bytes };
    if (syscall(SYS_process_vm_readv, life_pid(), &here, 1, &there, 1, 0) == (long)bytes) return true;
    if (errno == EFAULT) return false;
    memcpy(to, at, bytes); /* the call is forbidden here; a context that is no structure is not to be expected */
    return true;
}
static bool next_below(allocator *a) {
    struct { uint64_t id; allocator inner; } hook;
    if (!a->ctx || !look(a->ctx, &hook, sizeof hook)) return false;
    if (hook.id && hook.id < 256) *a = hook.inner;
    else memcpy(a, &hook, sizeof *a);
    return true;
}

static allocator bottom_of(int domain) {
    allocator a;
    int kept = errno;
    get_allocator(domain, &a);
    for (int depth = 0; depth < 8 && next_below(&a); depth++) {}
    errno = kept;
    return a;
}

/* PYTHONMALLOC, -X dev and tracemalloc change the allocators while Python starts, after our hooks went in. Called from malloc's slow path, which is the first of
 * our code that runs afterwards: at each birth until Python is up, then now and then. */
void python_probe(void) {
    static void *fine;
    bool starting = !is_initialized();
    if (starting ? syscall(SYS_gettid) != (long)life_pid() : !holds_gil()) return;
    g_python_settled = !starting;
    if (!starting) snapshot_python_is_up();
    if (g_python_through_malloc) return;
    allocator top, bottom;
    get_allocator(OBJ, &top);
    if (top.malloc == late_malloc && bottom_of(RAW).malloc != raw.malloc) install(RAW, true); /* from 3.15 on mimalloc serves this domain too */
    if (top.malloc == hook_malloc || top.malloc == late_malloc || (void *)top.malloc == fine) return;
    bottom = top;
    int kept = errno;
    for (int depth = 0; depth < 8; depth++) {
        if (bottom.malloc == hook_malloc || bottom.malloc == late_malloc) { /* tracemalloc on top of us */
            fine = (void *)top.malloc;
            return;
        }
        if (!next_below(&bottom)) break;
    }
    errno = kept;
    if (bottom.malloc == raw.malloc) { /* PYTHONMALLOC=malloc, malloc_debug: everything reaches our malloc */
        fine = (void *)top.malloc;
        g_python_through_malloc = true;
        if (out_header()) out_header()->flags |= FLAG_THROUGH_MALLOC;
        return;
    }
    /* PYTHONMALLOC=pymalloc, debug, mimalloc: in again. Debug hooks enlarge requests and move what they return, mimalloc serves every size: then all requests are
     * counted here, and none of those that come of them in malloc's wrappers. */
    bool all = bottom.malloc != pymalloc.malloc || top.malloc != pymalloc.malloc;
    install(MEM, all);
    install(OBJ, all);
    g_python_late = true;
    if (out_header()) out_header()->flags |= FLAG_LATE;
}

static void hook_code_dealloc(void *code) {
    int64_t left = tls_left;
    tls_left = OFF;
    trie_forget_code(code);
    tls_left = left;
    code_dealloc(code);
}

/* ---- start ---- */

static uint32_t parse_version(const char *text, uint32_t *minor) {
    uint32_t part[3] = { 0, 0, 0 };
    int i = 0;
    for (; *text && i < 3; text++) {
        if (*text == '.') i++;
        else if (*text >= '0' && *text <= '9') part[i] = part[i] * 10 + (uint32_t)(*text - '0');
        else break;
    }
    *minor = part[0] == 3 ? part[1] : 0;
    return part[0] << 24 | part[1] << 16 | part[2] << 8 | 0xf0;
}

static void find_own_text(void) {
    const void *anchors[] = { (void *)set_allocator, dlsym(RTLD_NEXT, "malloc"), (void *)find_own_text };
    static char maps[1 << 16];
    if (sys_read_file("/proc/self/maps", maps, sizeof maps) < 0) return;
    for (const char *line = maps; line && *line;) {
        char *end;
        uintptr_t start = strtoul(line, &end, 16), stop = strtoul(end + 1, NULL, 16);
        for (int i = 0; i < 3; i++)
            if ((uintptr_t)anchors[i] >= start && (uintptr_t)anchors[i] < stop) own_text[i].start = start, own_text[i].end = stop;
        line = strchr(line, '\n');
        if (line) line++;
    }
}

/* Does the program find our malloc, or that of a library preloaded before us? Ours takes the request off the countdown. */
static void find_other_malloc(void) {
    void *(*first_malloc)(size_t) = dlsym(RTLD_DEFAULT, "malloc");
    void (*first_free)(void *) = dlsym(RTLD_DEFAULT, "free");
    int64_t before = tls_left;
    first_free(first_malloc(1));
    g_python_other_malloc = tls_left == before;
    tls_left = before;
}

/* 3.13+: the interpreter tells its own offsets, which move within a minor version. */
static bool read_debug_offsets(const char *runtime) {
    if (memcmp(runtime, "xdebugpy", 8) != 0) return true; /* a build without them: the table stands */
    if (*(const uint64_t *)(runtime + 16)) {
        life_write_off("a free-threaded CPython is not supported");
        return false;
    }
    for (size_t i = 0; i < sizeof DEBUG_POSITIONS / sizeof DEBUG_POSITIONS[0]; i++) {
        uint16_t at = DEBUG_POSITIONS[i].at[L.minor - 13];
        if (at) *(uint16_t *)((char *)&L + DEBUG_POSITIONS[i].column) = (uint16_t) * (const uint64_t *)(runtime + at);
    }
    return true;
}

bool python_start(void) {
    set_allocator = dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
    if (!set_allocator) return false; /* a shell, a compiler: no Python here */
    const char *(*version)(void) = dlsym(RTLD_DEFAULT, "Py_GetVersion");
    const uint32_t *exact = dlsym(RTLD_DEFAULT, "Py_Version");
    uint32_t minor = 0;
    if (version) g_python_hex = parse_version(version(), &minor);
    if (exact) g_python_hex = *exact;
    bool known = false;
    for (size_t i = 0; i < sizeof LAYOUTS / sizeof LAYOUTS[0]; i++)
        if (LAYOUTS[i].minor == minor) L = LAYOUTS[i], known = true;
    if (!known) {
        life_write_off("this Python is not CPython 3.8 to 3.15");
        return false;
    }
    if (dlsym(RTLD_DEFAULT, "PyPy_Version") || dlsym(RTLD_DEFAULT, "_Py_PrintReferences")) {
        life_write_off("a debug build of CPython, or an interpreter that only resembles it, is not supported");
        return false;
    }
    const char *runtime = dlsym(RTLD_DEFAULT, "_PyRuntime");
    if (minor >= 13 && runtime && !read_debug_offsets(runtime)) return false;
    get_allocator = dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
    get_arena = dlsym(RTLD_DEFAULT, "PyObject_GetArenaAllocator");
    set_arena = dlsym(RTLD_DEFAULT, "PyObject_SetArenaAllocator");
    is_initialized = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
    gilstate_get = dlsym(RTLD_DEFAULT, "PyGILState_GetThisThreadState");
    code_type = dlsym(RTLD_DEFAULT, "PyCode_Type");
    unchecked_get = dlsym(RTLD_DEFAULT, minor >= 13 ? "PyThreadState_GetUnchecked" : "_PyThreadState_UncheckedGet");
    if (!get_allocator || !get_arena || !set_arena || !gilstate_get || !code_type || !unchecked_get || !is_initialized) {
        unchecked_get = NULL;
        life_write_off("the interpreter hides the symbols that recording needs");
        return false;
    }
    find_own_text();
    find_other_malloc();
    code_dealloc = *(void (**)(void *))(code_type + 48); /* tp_dealloc: at 48 in every version */
    *(void (**)(void *))(code_type + 48) = hook_code_dealloc;
    get_arena(&original_arena);
    arena_allocator ours = { NULL, hook_arena_alloc, hook_arena_free };
    set_arena(&ours);
    get_allocator(OBJ, &pymalloc);
    get_allocator(RAW, &raw);
    if (pymalloc.malloc == raw.malloc) g_python_through_malloc = true; /* built without a small-block allocator */
    else {
        install(MEM, false);
        install(OBJ, false);
        g_python_hooks = true;
    }
    return true;
}
