/* Programs that make temporaries have millions of births that are over at once. A few of each stack are enough to tell calls and turns; of the others
 * number and bytes are kept, so that totals stay exact. Cuts the file and the reader's work by up to a hundred times. */
#include "compact.h"

#define KEPT 64u          /* transient births kept of one stack in one chunk, when there are more than twice as many */
#define STACKS 1024u      /* stacks counted in one chunk, a power of 2; births of others are all kept */
#define PROBES 8u
#define MOST_WORDS 65536u

struct count { uint32_t node, all, seen, left_out, bytes; };
static inline bool is_thinned(const struct count *c) { return c->all > 2 * KEPT; }

static struct scratch {
    struct count counts[STACKS];
    uint16_t moved[MOST_WORDS]; /* word of a local birth -> its new word */
    struct chunk chunk;
    uint64_t words[MOST_WORDS];
} *scratch;

static struct count *count_of(uint32_t node, bool add) {
    for (uint32_t i = 0; i < PROBES; i++) {
        struct count *c = &scratch->counts[((node * 0x9e3779b1u >> 16 ^ node) + i) & (STACKS - 1)];
        if (c->node == node && c->all) return c;
        if (!c->all) {
            if (!add) return NULL;
            c->node = node;
            return c;
        }
    }
    return NULL;
}

static inline uint32_t words_of(uint64_t word) {
    uint32_t kind = word & 7;
    return kind == EVENT_MEDIUM ? 2 : kind == EVENT_BIRTH_FULL || kind == EVENT_DEATH_FULL ? 3 : 1;
}
static inline uint32_t node_of(uint64_t word) { return (uint32_t)word >> 14; }
static inline bool is_control(uint64_t word, uint32_t code) { return (word & 7) == EVENT_CONTROL && (word >> 3 & 31) == code; }

/* Of `all` births the one with this number from 0 is one of KEPT that are spread evenly. */
static inline bool is_kept(const struct count *c) {
    return !is_thinned(c) || (uint64_t)(c->seen + 1) * KEPT / c->all != (uint64_t)c->seen * KEPT / c->all;
}

static void count_transients(const uint64_t *from, uint32_t n) {
    memset(scratch->counts, 0, sizeof scratch->counts);
    for (uint32_t i = 0; i < n; i += words_of(from[i])) {
        if ((from[i] & 7) != EVENT_TRANSIENT) continue;
        struct count *c = count_of(node_of(from[i]), true);
        if (c) c->all++;
    }
}

/* At the chunk's beginning, so that the reader knows at once that births are missing. Room is made first, the figures follow. */
static uint32_t tell_left_out(uint64_t *to) {
    uint32_t at = 0;
    for (const struct count *c = scratch->counts; c < scratch->counts + STACKS; c++) {
        if (!is_thinned(c)) continue;
        to[at++] = event_full(1, TYPE_TRANSIENTS, c->node);
        to[at++] = c->left_out;
        to[at++] = c->bytes;
    }
    return at;
}

const struct chunk *compact(const struct chunk *chunk) {
    const uint64_t *from = (const uint64_t *)(chunk + 1);
    const uint32_t n = chunk->used / 8, head = sizeof(struct chunk) / 8;
    if (n > MOST_WORDS - head || (!scratch && !(scratch = sys_map(sizeof *scratch)))) return chunk;
    count_transients(from, n);
    uint64_t *to = scratch->words;
    uint32_t at = tell_left_out(to), time_at = UINT32_MAX - 1;
    bool in_realloc = false; /* the next birth replaces the block that a realloc gave up: it must stay */
    for (uint32_t i = 0; i < n;) {
        const uint64_t word = from[i];
        const uint32_t kind = word & 7, words = words_of(word);
        if (kind == EVENT_TRANSIENT && !in_realloc) {
            struct count *c = count_of(node_of(word), false);
            const bool kept = !c || is_kept(c);
            if (c) c->seen++;
            if (!kept) {
                c->left_out++;
                c->bytes += (uint32_t)(word >> 5 & 511) + 1;
                i++;
                continue;
            }
        } else if (kind == EVENT_LOCAL) scratch->moved[i + head] = (uint16_t)(at + head);
        if (is_control(word, CONTROL_REALLOC)) in_realloc = true;
        else if (kind != EVENT_DEATH && kind != EVENT_DEATH_FULL && kind != EVENT_CONTROL) in_realloc = false;
        if (is_control(word, CONTROL_TIME)) {
            if (time_at + 1 == at) at = time_at;
            time_at = at;
        }
        if (kind == EVENT_DEATH && (word >> 5 & 1)) to[at] = (word & 0xffffffff) | (uint64_t)scratch->moved[word >> 32] << 32;
        else memcpy(to + at, from + i, words * 8);
        at += words;
        i += words;
    }
    tell_left_out(to);
    memcpy(&scratch->chunk, chunk, sizeof *chunk);
    atomic_store_explicit(&scratch->chunk.used, at * 8, memory_order_relaxed);
    return &scratch->chunk;
}
