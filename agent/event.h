/* Byte positions of the event file: the only C file that knows them. docs/format.md section 2 is the text; src/tide/events.ts the reader. */
#ifndef TIDEGAUGE_EVENT_H
#define TIDEGAUGE_EVENT_H
#include <stdint.h>

#define SLOT 65536u
#define CHUNK_MAGIC 0x4b484354u /* TCHK */
#define FORMAT_VERSION 1u

enum { CHUNK_EVENTS = 1, CHUNK_DICTIONARY = 2 };
enum { STATE_RUNNING, STATE_EXITED, STATE_EXEC, STATE_OFF };
enum { FLAG_HOOKS = 1, FLAG_LATE = 2, FLAG_FORK = 4, FLAG_THROUGH_MALLOC = 8, FLAG_OTHER_MALLOC = 16 };

struct clock_triple { uint64_t tick, monotonic, realtime; };

struct header {
    char magic[8];
    uint32_t version, slot_size, pid, parent_pid, ordinal, state, reason, python_hex, mode, flags;
    uint64_t interval;
    _Atomic uint64_t slots;
    struct clock_triple start, last;
    _Atomic uint64_t births, deaths, dropped, interval_changes;
    uint64_t nodes, codes, own_bytes, own_cpu_ns;
    uint32_t fork_pid, fork_ordinal;
    uint64_t fork_order, fork_nodes, fork_codes;
    uint64_t hwm_bytes, rss_bytes;
    uint8_t zero[24];
    uint32_t fold_at;
    uint8_t more_zero[512 - 252];
    uint32_t exe_length;
    char exe[1020];
    uint32_t cwd_length;
    char cwd[508];
    uint32_t cmdline_length;
    char cmdline[2044];
};
_Static_assert(sizeof(struct header) == 4096, "header is one page");
_Static_assert(offsetof(struct header, slots) == 56 && offsetof(struct header, last) == 88, "header positions");
_Static_assert(offsetof(struct header, fork_pid) == 176 && offsetof(struct header, hwm_bytes) == 208, "header positions");
_Static_assert(offsetof(struct header, cwd_length) == 1536 && offsetof(struct header, cmdline_length) == 2048, "header positions");

struct chunk {
    uint32_t magic, kind, thread;
    _Atomic uint32_t used;
    uint64_t serial, order, interval, tick;
    uint32_t bases[2];
    uint32_t tid, span;
};
_Static_assert(sizeof(struct chunk) == 64, "chunk header");

enum { EVENT_LOCAL = 0, EVENT_BIRTH, EVENT_DEATH = 2, EVENT_MEDIUM = 3, EVENT_BIRTH_FULL = 4, EVENT_DEATH_FULL = 5, EVENT_CONTROL = 6, EVENT_TRANSIENT = 7 };
enum { CONTROL_TIME = 1, CONTROL_ORDER, CONTROL_INTERVAL, CONTROL_BASE, CONTROL_UNDO, CONTROL_MARK, CONTROL_GAP, CONTROL_REALLOC };
enum { RECORD_NODE = 1, RECORD_CODE, RECORD_STRING, RECORD_NATIVE, RECORD_THREAD, RECORD_MAPPINGS };
#define TYPE_TRANSIENTS 5u /* of a full birth: many transient births of one node, only counted */
#define OFFSET_UNKNOWN 0xffffffffu
#define OFFSET_CUT 0xfffffffeu
#define LENGTH_LEFT_OUT 0xffffffffu

static inline uint64_t event_birth_small(uint32_t base, uint32_t domain, uint64_t size, uint32_t node, uint64_t address) {
    return (uint64_t)EVENT_BIRTH | base << 3 | domain << 4 | (size - 1) << 5 | (uint64_t)node << 14 | ((address >> 4) & 0xffffffff) << 32;
}
static inline uint64_t event_birth_medium(uint32_t base, uint32_t domain, uint32_t node, uint64_t address) {
    return (uint64_t)EVENT_MEDIUM | base << 3 | domain << 4 | (uint64_t)node << 5 | ((address >> 4) & 0xffffffff) << 32;
}
static inline uint64_t event_death(uint32_t base, uint32_t domain, uint64_t address) {
    return (uint64_t)EVENT_DEATH | base << 3 | domain << 4 | ((address >> 4) & 0xffffffff) << 32;
}
/* `word`: of the birth, counted in 8 bytes from the chunk header. */
static inline uint64_t event_death_local(uint32_t base, uint32_t domain, uint32_t word) {
    return (uint64_t)EVENT_DEATH | base << 3 | domain << 4 | 1u << 5 | (uint64_t)word << 32;
}
static inline uint64_t event_full(int birth, uint32_t type, uint32_t node) {
    return (uint64_t)(birth ? EVENT_BIRTH_FULL : EVENT_DEATH_FULL) | type << 3 | (uint64_t)node << 32;
}
static inline uint64_t event_control(uint32_t code, uint64_t payload) {
    return (uint64_t)EVENT_CONTROL | code << 3 | payload << 8;
}
#endif
