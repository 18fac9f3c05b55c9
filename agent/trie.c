/* Stacks as a tree of nodes (parent, code, instruction), and the code objects that they name. Both tables are global, grow by doubling and are touched only
 * when a thread's own cache misses, under the dictionary lock; a record goes to the file before its id is used. */
#include "agent.h"
#include "event.h"
#include "frames_table.h"
#include "layout.h"
#include <sys/syscall.h>
#include <unistd.h>

struct node_slot { uint32_t parent, code, offset, id; };
struct code_slot { const char *code; uint32_t id, native; };
#define FORGOTTEN ((const char *)1)
#define MAX_NODES (1u << 20)

atomic_flag g_dictionary_lock = ATOMIC_FLAG_INIT;
_Atomic uint32_t g_code_epoch;

static struct node_slot *nodes;
static struct code_slot *codes;
static uint32_t node_capacity, code_capacity, node_count, code_count, code_used, string_count;

void lock_dictionary(void) {
    while (atomic_flag_test_and_set_explicit(&g_dictionary_lock, memory_order_acquire)) syscall(SYS_sched_yield);
}
void unlock_dictionary(void) { atomic_flag_clear_explicit(&g_dictionary_lock, memory_order_release); }
uint32_t trie_nodes(void) { return node_count + 1; }
uint32_t trie_codes(void) { return code_count + 1; }

static uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}
static uint32_t node_hash(uint32_t parent, uint32_t code, uint32_t offset) {
    return (uint32_t)mix(((uint64_t)parent << 32 | code) * 0x9e3779b97f4a7c15u + offset);
}

static bool grow_nodes(void) {
    uint32_t capacity = node_capacity ? node_capacity * 2 : 4096;
    struct node_slot *fresh = sys_map(capacity * sizeof *fresh);
    if (!fresh) return false;
    for (uint32_t i = 0; i < node_capacity; i++) {
        if (!nodes[i].id) continue;
        uint32_t h = node_hash(nodes[i].parent, nodes[i].code, nodes[i].offset) & (capacity - 1);
        while (fresh[h].id) h = (h + 1) & (capacity - 1);
        fresh[h] = nodes[i];
    }
    if (nodes) sys_unmap(nodes, node_capacity * sizeof *nodes);
    nodes = fresh;
    node_capacity = capacity;
    return true;
}

static bool grow_codes(void) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < code_capacity; i++) live += (uintptr_t)codes[i].code > 1;
    uint32_t capacity = code_capacity ? code_capacity : 1024;
    while (live * 2 >= capacity) capacity *= 2; /* the same size when forgotten entries filled it */
    struct code_slot *fresh = sys_map(capacity * sizeof *fresh);
    if (!fresh) return false;
    for (uint32_t i = 0; i < code_capacity; i++) {
        if ((uintptr_t)codes[i].code <= 1) continue;
        uint32_t h = (uint32_t)mix((uintptr_t)codes[i].code) & (capacity - 1);
        while (fresh[h].code) h = (h + 1) & (capacity - 1);
        fresh[h] = codes[i];
    }
    if (codes) sys_unmap(codes, code_capacity * sizeof *codes);
    codes = fresh;
    code_capacity = capacity;
    code_used = live;
    return true;
}

static struct code_slot *find_code(const char *code) {
    if (!code_capacity) return NULL;
    for (uint32_t h = (uint32_t)mix((uintptr_t)code) & (code_capacity - 1); codes[h].code; h = (h + 1) & (code_capacity - 1))
        if (codes[h].code == code) return &codes[h];
    return NULL;
}

static uint32_t add_code(const char *code, uint32_t id, bool native) {
    if (code_used * 2 >= code_capacity && !grow_codes()) return 0;
    uint32_t h = (uint32_t)mix((uintptr_t)code) & (code_capacity - 1);
    while ((uintptr_t)codes[h].code > 1) h = (h + 1) & (code_capacity - 1);
    if (!codes[h].code) code_used++;
    codes[h] = (struct code_slot){ code, id, native };
    return id;
}

/* ---- reading a code object ---- */

/* A str as UTF-8, at most `room` bytes; lone surrogates become '?'. Returns the length. */
static uint32_t read_text(const char *object, char *to, uint32_t room) {
    if (!object) return 0;
    uint64_t length = *(const uint64_t *)(object + L.str_length);
    uint32_t state = *(const uint32_t *)(object + L.str_state), kind = state >> 2 & 7;
    bool ascii = state >> 6 & 1, compact = state >> 5 & 1;
    const char *data = !compact ? *(char *const *)(object + L.compact_size) : object + (ascii ? L.ascii_size : L.compact_size);
    uint32_t used = 0;
    for (uint64_t i = 0; i < length && used + 4 <= room; i++) {
        uint32_t c = kind == 1 ? (uint8_t)data[i] : kind == 2 ? ((const uint16_t *)data)[i] : ((const uint32_t *)data)[i];
        if (c - 0xd800 < 0x800) c = '?';
        if (c < 0x80) to[used++] = (char)c;
        else if (c < 0x800) to[used++] = (char)(0xc0 | c >> 6), to[used++] = (char)(0x80 | (c & 63));
        else if (c < 0x10000) to[used++] = (char)(0xe0 | c >> 12), to[used++] = (char)(0x80 | (c >> 6 & 63)), to[used++] = (char)(0x80 | (c & 63));
        else to[used++] = (char)(0xf0 | c >> 18), to[used++] = (char)(0x80 | (c >> 12 & 63)), to[used++] = (char)(0x80 | (c >> 6 & 63)), to[used++] = (char)(0x80 | (c & 63));
    }
    return used;
}

static struct part bytes_object(const char *object) {
    if (!object) return (struct part){ "", 0 };
    return (struct part){ object + 32, (uint32_t) * (const uint64_t *)(object + 16) };
}

static const char *field(const char *object, uint16_t offset) { return offset == ABSENT ? NULL : *(char *const *)(object + offset); }

static bool equal(const char *text, uint32_t length, const char *word) { return length == strlen(word) && memcmp(text, word, length) == 0; }

static uint32_t new_code(const char *code, bool outermost) {
    static char text[3][2048]; /* under the lock */
    uint32_t id = code_count + 1;
    struct part parts[8];
    const uint16_t names[3] = { L.co_name, L.co_qualname, L.co_filename };
    for (int i = 0; i < 3; i++) parts[1 + i] = (struct part){ text[i], read_text(field(code, names[i]), text[i], sizeof text[i]) };
    /* Start-up (getpath, site, encodings) has frozen code outermost; the program has a module body of its own, or runpy for `-m`. */
    bool frozen = parts[3].length >= 7 && memcmp(text[2], "<frozen", 7) == 0;
    if (outermost && (equal(text[0], parts[1].length, "_run_module_as_main") || (!frozen && equal(text[0], parts[1].length, "<module>")))) sample_main_began();
    parts[4] = bytes_object(field(code, L.co_lines));
    if (L.co_code != ABSENT) parts[5] = bytes_object(field(code, L.co_code));
    else parts[5] = (struct part){ code + L.co_code_adaptive, 2 * (uint32_t) * (const uint64_t *)(code + 16) };
    parts[6] = bytes_object(field(code, L.co_exceptiontable));
    uint32_t head[9] = { id, *(const uint32_t *)(code + L.co_firstlineno), *(const uint32_t *)(code + L.co_flags) };
    for (int i = 1; i < 7; i++) head[2 + i] = parts[i].length;
    /* Leave out what does not fit a slot: bytecode first (no loops known), then the line table (lines unknown). */
    static const uint32_t LIMIT = SLOT - 64 - 8 - sizeof head - 3 * 2048;
    if (parts[6].length > LIMIT / 4) head[8] = LENGTH_LEFT_OUT, parts[6].length = 0;
    if (parts[4].length + parts[5].length + parts[6].length > LIMIT) head[7] = LENGTH_LEFT_OUT, parts[5].length = 0;
    if (parts[4].length + parts[6].length > LIMIT) head[6] = LENGTH_LEFT_OUT, parts[4].length = 0;
    parts[0] = (struct part){ head, sizeof head };
    if (!dictionary_record(RECORD_CODE, parts, 7)) return 0;
    if (!add_code(code, id, false)) return 0;
    return code_count = id;
}

/* ---- nodes ---- */

static uint32_t node_of(uint32_t parent, uint32_t code, uint32_t offset) {
    if (node_capacity)
        for (uint32_t h = node_hash(parent, code, offset) & (node_capacity - 1); nodes[h].id; h = (h + 1) & (node_capacity - 1))
            if (nodes[h].parent == parent && nodes[h].code == code && nodes[h].offset == offset) return nodes[h].id;
    if (node_count >= MAX_NODES) return parent; /* inner frames are left out; the reader is told by the node count */
    if (node_count * 2 >= node_capacity && !grow_nodes()) return parent;
    uint32_t id = node_count + 1;
    uint32_t record[4] = { id, parent, code, offset };
    struct part part = { record, sizeof record };
    if (!dictionary_record(RECORD_NODE, &part, 1)) return parent;
    uint32_t h = node_hash(parent, code, offset) & (node_capacity - 1);
    while (nodes[h].id) h = (h + 1) & (node_capacity - 1);
    nodes[h] = (struct node_slot){ parent, code, offset, id };
    return node_count = id;
}

static uint32_t instruction_offset(const char *code, const char *instr) {
    if (L.co_code != ABSENT) { /* up to 3.10 `instr` is f_lasti */
        int64_t lasti = (int64_t)(intptr_t)instr;
        return lasti < 0 ? OFFSET_UNKNOWN : (uint32_t)(L.minor == 10 ? 2 * lasti : lasti);
    }
    int64_t offset = instr - (code + L.co_code_adaptive);
    return offset < 0 || offset > 0x7fffffff ? OFFSET_UNKNOWN : (uint32_t)offset;
}

uint32_t trie_node(uint32_t parent, const char *code, const char *instr) {
    lock_dictionary();
    uint32_t node = parent;
    if (!code) node = node_of(parent, 0, OFFSET_CUT);
    else {
        struct code_slot *known = find_code(code);
        uint32_t id = known ? known->id : new_code(code, !parent);
        if (id) node = node_of(parent, id, instruction_offset(code, instr));
    }
    unlock_dictionary();
    return node;
}

void trie_forget_code(const char *code) {
    lock_dictionary();
    struct code_slot *known = find_code(code);
    if (known) {
        known->code = FORGOTTEN;
        atomic_fetch_add(&g_code_epoch, 1);
    }
    unlock_dictionary();
}

/* ---- native callers ---- */

static struct { uintptr_t start, end; } executable[512];
static uint32_t executable_count;

static const char *parse_hex(const char *p, uintptr_t *value) {
    for (*value = 0;; p++) {
        int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
        if (digit < 0) return p;
        *value = *value << 4 | (uintptr_t)digit;
    }
}

/* Notes the executable mappings of now, as `START-END OFFSET PATH` lines, when `address` lies in none of those noted before. */
static void note_mappings(uintptr_t address) {
    for (uint32_t i = 0; i < executable_count; i++)
        if (address >= executable[i].start && address < executable[i].end) return;
    static char *text;
    const size_t room = 1 << 20;
    if (!text && !(text = sys_map(room))) return;
    long n = sys_read_file("/proc/self/maps", text, room);
    if (n < 0) return;
    char *out = text; /* rewritten in place: what is kept is shorter than what was read */
    executable_count = 0;
    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        if (!end) break;
        uintptr_t start, stop, offset;
        const char *p = parse_hex(line, &start);
        p = parse_hex(p + 1, &stop);
        bool runs = p[3] == 'x';
        parse_hex(p + 6, &offset);
        const char *name = memchr(line, '/', (size_t)(end - line));
        if (runs && executable_count < 512) executable[executable_count].start = start, executable[executable_count++].end = stop;
        if (runs && name && out - text + (end - line) < 60000) {
            size_t range = (size_t)(p - line), tail = (size_t)(end + 1 - name);
            const char *digits = p + 6, *digits_end = strchr(digits, ' ');
            memmove(out, line, range), out += range;
            *out++ = ' ';
            memmove(out, digits, (size_t)(digits_end - digits)), out += digits_end - digits;
            *out++ = ' ';
            memmove(out, name, tail), out += tail;
        }
        line = end + 1;
    }
    struct part part = { text, (uint32_t)(out - text) };
    dictionary_record(RECORD_MAPPINGS, &part, 1);
}

uint32_t trie_native(uint32_t parent, const void *caller) {
    lock_dictionary();
    struct code_slot *known = find_code(caller);
    uint32_t id = known ? known->id : 0;
    if (!id) {
        uint64_t record[2] = { code_count + 1, (uintptr_t)caller };
        struct part part = { record, sizeof record };
        note_mappings((uintptr_t)caller);
        if (dictionary_record(RECORD_NATIVE, &part, 1) && add_code(caller, code_count + 1, true)) id = ++code_count;
    }
    uint32_t node = id ? node_of(parent, id, 0) : parent;
    unlock_dictionary();
    return node;
}

uint32_t trie_string(const char *text, size_t length) {
    if (length > 1024) length = 1024;
    lock_dictionary();
    uint32_t head[2] = { ++string_count, 0 };
    struct part parts[] = { { head, sizeof head }, { text, (uint32_t)length } };
    bool ok = dictionary_record(RECORD_STRING, parts, 2);
    unlock_dictionary();
    return ok ? head[0] : 0;
}
