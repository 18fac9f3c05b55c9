/* Per-thread state: given out at a thread's first slow path, taken back by a key destructor, re-used by later threads. */
#include "agent.h"
#include "event.h"
#include <sys/syscall.h>
#include <unistd.h>

TLS int64_t tls_left;
TLS struct thread *tls_thread;
pthread_key_t g_thread_key;

/* (order number << 20 | thread index): who recorded last, and under which number. A thread that finds another index takes the next number,
 * so events of different threads that depend on each other are in order without a shared counter per event. */
_Atomic uint64_t g_order;

static struct thread *free_threads;
static atomic_flag thread_lock = ATOMIC_FLAG_INIT;
static _Atomic uint32_t thread_count;

static void lock_threads(void) {
    while (atomic_flag_test_and_set_explicit(&thread_lock, memory_order_acquire)) syscall(SYS_sched_yield);
}
static void unlock_threads(void) { atomic_flag_clear_explicit(&thread_lock, memory_order_release); }

static struct thread *new_thread(void) {
    size_t state = (sizeof(struct thread) + 4095) & ~(size_t)4095, frames = MAX_DEPTH * sizeof(struct saved);
    char *p = sys_map(state + 2 * frames);
    if (!p) return NULL;
    struct thread *t = (struct thread *)p;
    t->saved = (struct saved *)(p + state);
    t->fresh = (struct saved *)(p + state + frames);
    return t;
}

static void seed(struct thread *t) {
    t->random = sys_tick() * 0x9e3779b97f4a7c15u ^ ((uint64_t)t->tid << 32) ^ (uintptr_t)t;
    if (!t->random) t->random = 1;
}

static void reset(struct thread *t) {
    t->chunk = NULL;
    t->index = atomic_fetch_add(&thread_count, 1);
    t->tid = (uint32_t)syscall(SYS_gettid);
    t->pid = life_pid();
    t->self = (unsigned long)pthread_self();
    t->order = 0;
    t->bases[0] = t->bases[1] = 0xffffffff;
    t->interval = UINT64_MAX; /* adopts the process's interval at the first gap */
    seed(t);
    t->births = t->since_time = t->depth = 0;
    t->debt = t->death_debt = 0;
    t->epoch = UINT32_MAX;
}

struct thread *thread_self(void) {
    struct thread *t = tls_thread;
    if (LIKELY(t != NULL)) return t;
    lock_threads();
    t = free_threads;
    if (t) free_threads = t->next_free;
    unlock_threads();
    if (!t) t = new_thread();
    if (!t) {
        life_turn_off(OFF_ADDRESS_SPACE); /* this thread could not tell which blocks it frees */
        return NULL;
    }
    reset(t);
    tls_thread = t;
    pthread_setspecific(g_thread_key, t);
    return t;
}

/* Key destructor. Later destructors of the same thread may still allocate and free: thread_self then starts anew and sets the key again. */
void thread_end(void *state) {
    struct thread *t = state;
    int64_t left = tls_left;
    tls_left = OFF;
    sample_settle(t);
    out_release(t);
    tls_thread = NULL;
    lock_threads();
    t->next_free = free_threads;
    free_threads = t;
    unlock_threads();
    tls_left = left > OFF / 2 ? OFF : 0;
}

/* In a fork child only the calling thread lives; its events go to a file of the child's own, opened at the first one. */
void thread_fork_child(void) {
    struct thread *t = tls_thread;
    out_fork_child();
    atomic_flag_clear(&thread_lock);
    free_threads = NULL;
    if (!t) return;
    t->chunk = NULL;
    t->pid = life_pid();
    t->tid = (uint32_t)syscall(SYS_gettid);
    t->bases[0] = t->bases[1] = 0xffffffff;
    seed(t); /* brothers must not draw the same samples, nor go on with the same gap */
    if (tls_left < OFF / 2) tls_left = sample_gap(t);
}
