/* The calling thread's own Python frames, as a node of the trie. The last walk is kept per thread: a frame of it that is still on the stack is where the
 * new walk joins, so only what changed is looked up. */
#include "agent.h"
#include "frames_table.h"
#include "layout.h"

#define VERIFY 128 /* frames compared outwards from the join; all of them each 64th walk, since comparing 1,000 frames per event is the whole cost */

/* The three shapes of a frame chain. Each walk is compiled once per shape, so that the inner loop has no test for the version. */
enum shape { OBJECTS /* up to 3.10: PyFrameObject */, CFRAME /* 3.11, 3.12 */, DIRECT /* 3.13 on */ };
#define INLINE static inline __attribute__((always_inline))

INLINE const char *load(const char *p, uint16_t offset) { return *(char *const *)(p + offset); }
INLINE const char *frame_code(const char *f, enum shape shape) {
    if (shape == OBJECTS) return load(f, L.f_code);
    return (const char *)((uintptr_t)load(f, L.executable) & ~(uintptr_t)3); /* 3.14+: a tagged reference */
}
INLINE const char *frame_instr(const char *f, enum shape shape, uint16_t offset) {
    if (shape == OBJECTS) return (const char *)(intptr_t) * (const int32_t *)(f + offset);
    return load(f, offset);
}
/* Frames of the C stack or the interpreter (owner 3 and above, from 3.12 on) are no Python frames. */
INLINE const char *skip(const char *f, enum shape shape) {
    if (shape == DIRECT || (shape == CFRAME && L.minor == 12))
        while (f && (uint8_t)f[L.owner] >= 3) f = load(f, L.previous);
    return f;
}

static inline uint32_t hash(const void *p) { return (uint32_t)(((uintptr_t)p >> 3) * 0x9e3779b1u >> 7) & (FRAME_HASH - 1); }

INLINE uint32_t lookup(struct thread *t, uint32_t parent, const char *code, const char *instr) {
    uint32_t h = (uint32_t)(((uintptr_t)instr >> 1) * 31 + ((uintptr_t)code >> 4) * 7 + (uint64_t)parent * 0x9e3779b1u);
    struct node_cache *slot = &t->cache[(h ^ h >> 12) & (NODE_CACHE - 1)];
    if (LIKELY(slot->parent == parent && slot->code == code && slot->instr == instr && slot->node)) return slot->node;
    uint32_t node = trie_node(parent, code, instr);
    t->debt += 400;
    *slot = (struct node_cache){ code, instr, parent, node };
    return node;
}

/* A recursion with two branches has 2^depth stacks, and a deep one thousands of nodes that say nothing new. From the FOLD_AT-th round of a cycle of up to
 * four functions on, a frame adds no node for deeper ones: only the innermost frame's own line hangs below the first rounds. */
INLINE void place(struct thread *t, struct saved *s) {
    const uint32_t outer = s == t->saved ? 0 : s[-1].stem;
    s->node = s->stem = lookup(t, outer, s->code, s->instr);
    for (int p = 1; p <= 4; p++)
        if (UNLIKELY(s->repeats[p - 1] >= FOLD_AT * p)) s->stem = outer;
}

INLINE void count_repeats(struct thread *t, struct saved *s) {
    const uint32_t depth = (uint32_t)(s - t->saved);
    for (uint32_t p = 1; p <= 4; p++) {
        uint16_t before = depth ? s[-1].repeats[p - 1] : 0;
        s->repeats[p - 1] = depth >= p && s[-(int)p].code == s->code ? (uint16_t)(before + (before < 60000)) : 0;
    }
}

static void forget(struct thread *t) {
    t->depth = 0;
    memset(t->cache, 0, sizeof t->cache);
    t->epoch = atomic_load_explicit(&g_code_epoch, memory_order_relaxed);
}

/* Is the saved walk still right from its frame `at` outwards? Outer instructions that moved on are brought up to date. false: the chain is another one.
 * The next frame's address comes from the saved walk, not from the link just compared: the loads of all levels then run side by side instead of one
 * after the other. (No stale address is followed: a level is read only after the link that leads to it was found equal.) */
INLINE bool join(struct thread *t, uint32_t at, enum shape shape) {
    struct saved *const top = &t->saved[at], *s = top;
    struct saved *const stop = at < VERIFY || t->interval || (++t->walks & 63) == 0 ? t->saved : s - VERIFY; /* samples are few enough to be right always */
    struct saved *changed = NULL;
    const uint16_t link = shape == OBJECTS ? L.f_back : L.previous, at_instr = shape == OBJECTS ? L.f_lasti : L.instr, code = L.f_code;
    for (;; s--) {
        const char *f = s->frame, *instr = frame_instr(f, shape, at_instr), *previous = load(f, link);
        if (shape == OBJECTS && s->code != load(f, code)) return false;
        if (UNLIKELY(s->instr != instr)) {
            if (shape != OBJECTS && s->code != frame_code(f, shape)) return false;
            s->instr = instr;
            changed = s;
        }
        if (UNLIKELY(previous != s->previous)) return false;
        if (s == stop) break;
        if (UNLIKELY(previous != s[-1].frame) && skip(previous, shape) != s[-1].frame) return false;
    }
    if (stop == t->saved && skip(s->previous, shape)) return false;
    t->debt += (uint64_t)(top - s) / 2;
    if (changed)
        for (s = changed; s <= top; s++) place(t, s);
    return true;
}

/* Everything from `f` outwards to where the saved walk joins. Returns the innermost node. */
INLINE uint32_t walk(struct thread *t, const char *f, enum shape shape) {
    uint32_t fresh = 0, depth = t->depth;
    if (LIKELY(depth && t->saved[depth - 1].frame == f)) {
        if (LIKELY(join(t, depth - 1, shape))) return t->saved[depth - 1].node;
        t->depth = 0;
    }
    depth = 0;
    while (f) {
        uint32_t at = t->frame_hash[hash(f)];
        if (at && at <= t->depth && t->saved[at - 1].frame == f) {
            if (LIKELY(join(t, at - 1, shape))) {
                depth = at;
                break;
            }
            t->depth = 0; /* nothing of the saved walk holds any more */
        }
        const char *previous = load(f, shape == OBJECTS ? L.f_back : L.previous);
        t->fresh[fresh++] = (struct saved){ f, frame_code(f, shape), frame_instr(f, shape, shape == OBJECTS ? L.f_lasti : L.instr), previous, 0, 0, { 0 } };
        if (fresh == MAX_DEPTH) break;
        f = skip(previous, shape);
    }
    if (UNLIKELY(fresh + depth > MAX_DEPTH)) fresh = MAX_DEPTH - depth; /* the innermost frames are left out */
    t->debt += 4 * fresh;
    while (fresh) {
        struct saved *s = &t->saved[depth++];
        *s = t->fresh[--fresh];
        count_repeats(t, s);
        place(t, s);
        t->frame_hash[hash(s->frame)] = (uint16_t)(depth < 65535 ? depth : 0);
    }
    t->depth = depth;
    return depth ? t->saved[depth - 1].node : 0;
}

static __attribute__((noinline)) uint32_t walk_objects(struct thread *t, const char *f) { return walk(t, f, OBJECTS); }
static __attribute__((noinline)) uint32_t walk_cframe(struct thread *t, const char *f) { return walk(t, skip(f, CFRAME), CFRAME); }
static __attribute__((noinline)) uint32_t walk_direct(struct thread *t, const char *f) { return walk(t, skip(f, DIRECT), DIRECT); }

static COLD uint32_t native_leaf(struct thread *t, uint32_t node, const void *caller) {
    uint32_t h = (uint32_t)(((uintptr_t)caller >> 1) * 31 + (uint64_t)node * 0x9e3779b1u);
    struct node_cache *slot = &t->cache[(h ^ h >> 12) & (NODE_CACHE - 1)];
    if (slot->parent == node && slot->code == caller && !slot->instr && slot->node) return slot->node;
    uint32_t native = trie_native(node, caller);
    *slot = (struct node_cache){ caller, NULL, node, native };
    return native;
}

uint32_t frames_walk(struct thread *t, const void *caller) {
    const char *f = python_frame(t);
    if (UNLIKELY(t->epoch != atomic_load_explicit(&g_code_epoch, memory_order_relaxed))) forget(t);
    uint32_t node = 0;
    if (LIKELY(f != NULL)) node = L.minor <= 10 ? walk_objects(t, f) : L.minor <= 12 ? walk_cframe(t, f) : walk_direct(t, f);
    if (caller && (!node || !python_owns(caller))) node = native_leaf(t, node, caller);
    return node;
}
