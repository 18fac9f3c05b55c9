/* The calling thread's own Python frames, as a node of the trie. The last walk is kept per thread: a frame of it that is still on the stack is where the
 * new walk joins, so only what changed is looked up. */
#include "agent.h"
#include "frames_table.h"
#include "layout.h"

#define VERIFY 32 /* frames compared outwards from the join; all of them each 64th walk, since comparing 1,000 frames per event is the whole cost */

static inline const char *load(const char *p, uint16_t offset) { return *(char *const *)(p + offset); }
static inline bool is_object_frame(void) { return L.f_code != ABSENT; } /* up to 3.10 */
static inline const char *frame_code(const char *f) {
    if (is_object_frame()) return load(f, L.f_code);
    return (const char *)((uintptr_t)load(f, L.executable) & ~(uintptr_t)3); /* 3.14+: a tagged reference */
}
static inline const char *frame_instr(const char *f) {
    if (is_object_frame()) return (const char *)(intptr_t) * (const int32_t *)(f + L.f_lasti);
    return load(f, L.instr);
}
/* Frames of the C stack or the interpreter (owner 3 and above, from 3.12 on) are no Python frames. */
static inline const char *skip(const char *f) {
    if (L.minor >= 12)
        while (f && (uint8_t)f[L.owner] >= 3) f = load(f, L.previous);
    return f;
}

static inline uint32_t hash(const void *p) { return (uint32_t)(((uintptr_t)p >> 3) * 0x9e3779b1u >> 7) & (FRAME_HASH - 1); }

static inline uint32_t lookup(struct thread *t, uint32_t parent, const char *code, const char *instr) {
    uint32_t h = (uint32_t)(((uintptr_t)instr >> 1) * 31 + ((uintptr_t)code >> 4) * 7 + (uint64_t)parent * 0x9e3779b1u);
    struct node_cache *slot = &t->cache[(h ^ h >> 12) & (NODE_CACHE - 1)];
    if (LIKELY(slot->parent == parent && slot->code == code && slot->instr == instr && slot->node)) return slot->node;
    uint32_t node = trie_node(parent, code, instr);
    t->debt += 400;
    *slot = (struct node_cache){ code, instr, parent, node };
    return node;
}

static void forget(struct thread *t) {
    t->depth = 0;
    memset(t->cache, 0, sizeof t->cache);
    t->epoch = atomic_load_explicit(&g_code_epoch, memory_order_relaxed);
}

/* Is the saved walk still right from its frame `at` outwards? Outer instructions that moved on are brought up to date. false: the chain is another one.
 * The next frame's address comes from the saved walk, not from the link just compared: the loads of all levels then run side by side instead of one
 * after the other. (No stale address is followed: a level is read only after the link that leads to it was found equal.) */
static inline bool join(struct thread *t, uint32_t at) {
    struct saved *s = &t->saved[at];
    const struct saved *stop = at < VERIFY || (++t->walks & 63) == 0 ? t->saved : s - VERIFY;
    const struct saved *changed = NULL;
    const bool object_frames = is_object_frame();
    const uint16_t link = object_frames ? L.f_back : L.previous;
    for (;; s--) {
        const char *f = s->frame, *instr = frame_instr(f);
        if (object_frames && s->code != load(f, L.f_code)) return false;
        if (UNLIKELY(s->instr != instr)) {
            if (!object_frames && s->code != frame_code(f)) return false;
            s->instr = instr;
            changed = s;
        }
        const char *previous = load(f, link);
        if (UNLIKELY(previous != s->previous)) return false;
        if (s == stop) break;
        if (UNLIKELY(previous != s[-1].frame) && skip(previous) != s[-1].frame) return false;
    }
    if (stop == t->saved && skip(s->previous)) return false;
    t->debt += (uint64_t)(&t->saved[at] - s);
    if (changed)
        for (struct saved *k = (struct saved *)changed; k <= &t->saved[at]; k++)
            k->node = lookup(t, k == t->saved ? 0 : k[-1].node, k->code, k->instr);
    return true;
}

uint32_t frames_walk(struct thread *t, const void *caller) {
    const char *f = python_frame();
    if (f) f = skip(f);
    if (UNLIKELY(t->epoch != atomic_load_explicit(&g_code_epoch, memory_order_relaxed))) forget(t);
    uint32_t fresh = 0, depth = 0;
    while (f) {
        uint32_t at = t->frame_hash[hash(f)];
        if (at && at <= t->depth && t->saved[at - 1].frame == f && t->saved[at - 1].code == frame_code(f)) {
            if (LIKELY(join(t, at - 1))) {
                depth = at;
                break;
            }
            t->depth = 0; /* nothing of the saved walk holds any more */
        }
        const char *previous = load(f, is_object_frame() ? L.f_back : L.previous);
        t->fresh[fresh++] = (struct saved){ f, frame_code(f), frame_instr(f), previous, 0, 0 };
        if (fresh == MAX_DEPTH) break;
        f = skip(previous);
    }
    uint32_t node = depth ? t->saved[depth - 1].node : 0;
    if (UNLIKELY(fresh == MAX_DEPTH)) node = trie_node(0, NULL, NULL), depth = 0;
    if (UNLIKELY(fresh + depth > MAX_DEPTH)) fresh = MAX_DEPTH - depth;
    t->debt += 4 * fresh;
    while (fresh) {
        struct saved s = t->fresh[--fresh];
        s.node = node = lookup(t, node, s.code, s.instr);
        t->saved[depth++] = s;
        t->frame_hash[hash(s.frame)] = (uint16_t)(depth < 65535 ? depth : 0);
    }
    t->depth = depth;
    if (caller && (!node || !python_owns(caller))) {
        uint32_t h = (uint32_t)(((uintptr_t)caller >> 1) * 31 + (uint64_t)node * 0x9e3779b1u);
        struct node_cache *slot = &t->cache[(h ^ h >> 12) & (NODE_CACHE - 1)];
        if (slot->parent == node && slot->code == caller && !slot->instr && slot->node) return slot->node;
        uint32_t native = trie_native(node, caller);
        *slot = (struct node_cache){ caller, NULL, node, native };
        node = native;
    }
    return node;
}
