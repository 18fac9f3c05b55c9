/* The slow path that every wrapper shares: mask nested requests, decide, do the real work, record. */
#ifndef TIDEGAUGE_SLOW_H
#define TIDEGAUGE_SLOW_H
#include "agent.h"
#include "event.h"
#include "marks.h"

/* Opened before the real request. `t` NULL: not recording (off, or nested inside another slow path). */
struct slow {
    struct thread *t;
    int64_t next; /* what tls_left becomes afterwards */
    bool hit;
    bool draw; /* the countdown is used up: a fresh gap, under the interval of then, once the birth is written under the interval of now */
    int saved_errno;
};

/* `charged`: the bytes already taken off tls_left for this request. */
static inline struct slow slow_enter(size_t charged) {
    struct slow s = { NULL, tls_left, false, false, errno };
    if (s.next > OFF / 2) return s;
    tls_left = OFF;
    if (UNLIKELY(!atomic_load_explicit(g_recording, memory_order_relaxed))) {
        s.next = OFF;
        return s;
    }
    struct thread *t = tls_thread;
    if (UNLIKELY(!t)) {
        t = thread_self();
        if (!t) {
            s.next = OFF;
            return s;
        }
        s.next = sample_gap(t) - (charged < BIG ? (int64_t)charged : 0);
    } else if (charged >= BIG) s.next += (int64_t)charged; /* big blocks stand outside the countdown */
    s.t = t;
    if (t->interval == 0) s.hit = true, s.next = -1;
    else if (charged >= BIG) s.hit = true;
    else if (s.next < 0) s.hit = true;
    s.draw = s.hit && s.next < 0 && t->interval != 0;
    errno = s.saved_errno;
    return s;
}

static inline void slow_leave(struct slow *s) {
    if (s->t) {
        if (UNLIKELY(s->t->births >= 64 || s->t->death_debt > 100000)) sample_settle(s->t);
        /* A fresh gap is as good as the rest of the old one (memoryless), so an interval that changed is adopted at once. */
        if (s->draw || UNLIKELY(s->t->interval != atomic_load_explicit(&g_interval, memory_order_relaxed))) s->next = sample_gap(s->t);
        if (UNLIKELY(!atomic_load_explicit(g_recording, memory_order_relaxed))) s->next = OFF;
    }
    tls_left = s->next;
}

static inline void slow_birth(struct slow *s, void *p, size_t size, enum domain domain, const void *caller) {
    struct thread *t = s->t;
    if (!p || !s->hit) return;
    int kept = errno;
    if (out_ready(t)) {
        uint32_t node = frames_walk(t, caller);
        if (mark(p)) record_birth(t, node, (uintptr_t)p, size, domain);
        t->debt += 70;
        t->births++;
    } else if (out_header()) atomic_fetch_add_explicit(&out_header()->dropped, 1, memory_order_relaxed);
    errno = kept;
}

/* The thread, when its slow path is only waiting for the allocator below a hook of Python's. */
static inline struct thread *slow_serving(void) {
    struct thread *t = tls_thread;
    return t && t->serving && atomic_load_explicit(g_recording, memory_order_relaxed) ? t : NULL;
}

/* The block at p is marked. A thread inside another slow path (a signal handler that frees) cannot record: the event is counted as dropped. */
static inline void slow_death(struct slow *s, void *p, enum domain domain, bool foldable) {
    unmark(p);
    struct thread *t = LIKELY(s->t != NULL) ? s->t : slow_serving();
    if (t && out_ready(t)) {
        record_death(t, (uintptr_t)p, domain, foldable);
        t->death_debt += 30;
    } else if (out_header()) atomic_fetch_add_explicit(&out_header()->dropped, 1, memory_order_relaxed);
}
#endif
