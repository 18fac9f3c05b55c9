/* One bit per 16 bytes of address space: is the block at this address recorded? A pointer per GiB of addresses (131,072 on x86-64), each to 8 MiB, mapped at the first mark there.
 * A free of an unrecorded block costs two loads. */
#ifndef TIDEGAUGE_MARKS_H
#define TIDEGAUGE_MARKS_H
#include "agent.h"

#if defined(__aarch64__)
#define ADDRESS_BITS 48
#else
#define ADDRESS_BITS 47
#endif
#define MARK_BYTES ((size_t)8 << 20)
extern _Atomic(uint8_t *) g_marks[1 << (ADDRESS_BITS - 30)];
COLD uint8_t *marks_map(uintptr_t address);

static inline bool marked(const void *p) {
    uintptr_t a = (uintptr_t)p;
    if (UNLIKELY(a >> ADDRESS_BITS)) return false;
    uint8_t *m = atomic_load_explicit(&g_marks[a >> 30], memory_order_relaxed);
    return m && (m[(a >> 7) & (MARK_BYTES - 1)] >> ((a >> 4) & 7) & 1);
}
/* Other allocators (mimalloc, jemalloc) put two blocks of 8 bytes into 16: there is no bit for the second, which is never recorded. */
static inline bool has_mark(const void *p) { return ((uintptr_t)p & 15) == 0; }
/* false: no memory for marks; the block must then not be recorded, or its death would be missed */
static inline bool mark(const void *p) {
    uintptr_t a = (uintptr_t)p;
    if (UNLIKELY(a >> ADDRESS_BITS || !has_mark(p))) return false;
    uint8_t *m = atomic_load_explicit(&g_marks[a >> 30], memory_order_acquire);
    if (UNLIKELY(!m) && !(m = marks_map(a))) return false;
    /* atomic: a byte covers 128 bytes, whose other blocks may belong to other threads */
    __atomic_fetch_or(&m[(a >> 7) & (MARK_BYTES - 1)], (uint8_t)(1u << ((a >> 4) & 7)), __ATOMIC_RELAXED);
    return true;
}
static inline void unmark(const void *p) {
    uintptr_t a = (uintptr_t)p;
    uint8_t *m = atomic_load_explicit(&g_marks[a >> 30], memory_order_relaxed);
    __atomic_fetch_and(&m[(a >> 7) & (MARK_BYTES - 1)], (uint8_t)~(1u << ((a >> 4) & 7)), __ATOMIC_RELAXED);
}
#endif
