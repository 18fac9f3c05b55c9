/* One event: order and time controls, then the word(s), then the commit. */
#include "agent.h"
#include "event.h"

static inline void put(struct thread *t, uint64_t word) {
    *(uint64_t *)((char *)t->chunk + t->position) = word;
    t->position += 8;
}
static inline void commit(struct thread *t) {
    atomic_store_explicit(&t->chunk->used, t->position - (uint32_t)sizeof(struct chunk), memory_order_release);
}

/* Room is there (out_ready). Takes the next order number when another thread recorded since; tells the time every 64 events, and at each sampled one. */
static inline void begin(struct thread *t) {
    uint64_t held = atomic_load_explicit(&g_order, memory_order_acquire);
    if (UNLIKELY((held & 0xfffff) != (t->index & 0xfffff) || held >> 20 != t->order)) {
        uint64_t next;
        do next = ((held >> 20) + 1) << 20 | (t->index & 0xfffff);
        while (!atomic_compare_exchange_weak_explicit(&g_order, &held, next, memory_order_acq_rel, memory_order_acquire));
        t->order = next >> 20;
        put(t, event_control(CONTROL_ORDER, t->order));
        t->recent_from = t->position;
    }
    if (t->interval || t->since_time++ >= 64) {
        t->since_time = 0;
        put(t, event_control(CONTROL_TIME, (sys_tick() - t->tick) & 0xffffffffffffff));
    }
}

/* Which of the thread's two address bases; a new one replaces the older of the two. */
static inline uint32_t base_of(struct thread *t, uintptr_t address) {
    uint32_t base = (uint32_t)(address >> 36);
    if (LIKELY(base == t->bases[0])) return 0;
    if (LIKELY(base == t->bases[1])) return 1;
    uint32_t which = t->next_base;
    t->next_base ^= 1;
    t->bases[which] = base;
    put(t, event_control(CONTROL_BASE, which | (uint64_t)base << 8));
    t->recent_from = t->position;
    return which;
}

void record_birth(struct thread *t, uint32_t node, uintptr_t address, size_t size, enum domain domain) {
    begin(t);
    uint32_t base = base_of(t, address);
    uint16_t *recent = &t->recent[address >> 4 & (RECENT - 1)];
    if (LIKELY(size - 1 < 512 && node < 1u << 18)) {
        *recent = (uint16_t)(t->position / 8);
        put(t, event_birth_small(base, domain, size, node, address));
    } else {
        *recent = 0;
        put(t, event_birth_medium(base, domain, node, address));
        put(t, size);
    }
    commit(t);
}

/* Words between the birth and the death of a transient block. A block that lives longer counts at the peaks in between. A sampled block stands for many. */
#define TRANSIENT_WORDS 512u
#define TRANSIENT_WORDS_SAMPLED 16u

/* Where the birth of the block stands in the chunk, when no other thread recorded since (nor did the process fork): then it is this block's and no later
 * one's at the same address. NULL: not known. */
static inline _Atomic uint64_t *birth_word(struct thread *t, uintptr_t address) {
    uint64_t held = atomic_load_explicit(&g_order, memory_order_acquire);
    uint32_t at = t->recent[address >> 4 & (RECENT - 1)] * 8u;
    if (UNLIKELY(at < t->recent_from || at >= t->position || (held & 0xfffff) != (t->index & 0xfffff) || held >> 20 != t->order)) return NULL;
    _Atomic uint64_t *word = (_Atomic uint64_t *)((char *)t->chunk + at);
    uint64_t birth = atomic_load_explicit(word, memory_order_relaxed);
    bool same = (birth & 7) == EVENT_BIRTH && birth >> 32 == (address >> 4 & 0xffffffff) && t->bases[birth >> 3 & 1] == address >> 36;
    return LIKELY(same) ? word : NULL;
}

/* A small block that dies soon becomes a transient birth: the word is changed in place and no death is written. One that dies later in the same chunk has a
 * death that names the birth's word, so that the reader need not look for an address. That death is committed before the birth says so: a program killed
 * in between leaves a plain birth, which the reader finds by its address. */
void record_death(struct thread *t, uintptr_t address, enum domain domain, bool foldable) {
    _Atomic uint64_t *word = foldable ? birth_word(t, address) : NULL;
    uint32_t base;
    if (LIKELY(word != NULL)) {
        uint64_t birth = atomic_load_explicit(word, memory_order_relaxed);
        uint32_t at = (uint32_t)((char *)word - (char *)t->chunk);
        if (LIKELY(t->position - at <= 8 * (t->interval ? TRANSIENT_WORDS_SAMPLED : TRANSIENT_WORDS))) {
            atomic_store_explicit(word, birth | EVENT_TRANSIENT, memory_order_relaxed);
            return;
        }
        begin(t);
        if (LIKELY(at >= t->recent_from)) { /* no other thread took a number just now */
            put(t, event_death_local(birth >> 3 & 1, domain, at / 8));
            commit(t);
            atomic_store_explicit(word, birth & ~(uint64_t)7, memory_order_release);
            return;
        }
    } else begin(t);
    base = base_of(t, address);
    put(t, event_death(base, domain, address));
    commit(t);
}

void record_full(struct thread *t, bool birth, uint32_t node, uintptr_t address, size_t size, enum domain domain) {
    begin(t);
    put(t, event_full(birth, domain, node));
    put(t, address);
    put(t, size);
    commit(t);
}

void record_control(struct thread *t, uint32_t code, uint64_t payload) {
    if (code == CONTROL_MARK) { /* a mark has a time of its own */
        t->since_time = 64;
        begin(t);
    }
    put(t, event_control(code, payload));
    commit(t);
}
