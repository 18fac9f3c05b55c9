/* The event file: slots, staging regions, commit, append. No descriptor stays open between writes, since programs close all of theirs and
 * re-use the numbers; the file is opened by path and must still be the one that was created. */
#include "agent.h"
#include "compact.h"
#include "event.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ROOM 96 /* the largest event with every control that may precede it */

static struct header *header;
static char path[MAX_PATH + 64];
static dev_t device;
static ino_t inode;
static atomic_flag file_lock = ATOMIC_FLAG_INIT;
static struct chunk *free_regions[256];
static uint32_t free_region_count;

/* In exact mode the first two threads that fill a slot go on in a region of several: the more blocks die in the chunk they were born in, the less is
 * written. Its words are counted in 16 bits (struct thread, `recent`). */
#define LARGE_SPAN 8
static struct chunk *large_regions[2];
/* Chunks of a thread that are kept whole: the reader learns from them how births and turns go together. */
#define WHOLE_AT_FIRST 6
#define WHOLE_EVERY 16
static uint32_t large_region_count, large_regions_made;

static struct chunk *dictionary;
static uint64_t dictionary_serial;

/* What a fork child tells of its parent; filled at the fork. */
static struct { uint32_t pid, ordinal; uint64_t order, nodes, codes; } parent;

struct header *out_header(void) { return header; }
bool out_is_open(void) { return header != NULL; }

static void lock(atomic_flag *flag) {
    while (atomic_flag_test_and_set_explicit(flag, memory_order_acquire)) syscall(SYS_sched_yield);
}
static void unlock(atomic_flag *flag) { atomic_flag_clear_explicit(flag, memory_order_release); }

static struct clock_triple now_triple(void) {
    return (struct clock_triple){ sys_tick(), sys_clock(CLOCK_MONOTONIC), sys_clock(CLOCK_REALTIME) };
}

/* Would writing up to `end` raise SIGXFSZ or pass the user's own limit? */
static bool beyond_limits(uint64_t end) {
    struct rlimit limit;
    if (syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur) {
        life_turn_off(OFF_FILE_LIMIT);
        return true;
    }
    if (g_settings.max_bytes && end > g_settings.max_bytes) {
        life_turn_off(OFF_MAX_BYTES);
        return true;
    }
    return false;
}

static int reopen(void) {
    int fd = sys_open(path, O_RDWR, 0);
    struct stat st;
    if (fd < 0) {
        life_turn_off(errno == EMFILE || errno == ENFILE ? OFF_NO_DESCRIPTOR : errno == EACCES || errno == EPERM ? OFF_NOT_PERMITTED : OFF_FILE_GONE);
        return -1;
    }
    if ( fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode) return fd;
    syscall(SYS_close, fd);
    life_turn_off(OFF_FILE_GONE);
    return -1;
}

/* Blocks on disk must exist before a region is mapped: a store to a hole of a full disk is SIGBUS. */
static bool allocate(int fd, uint64_t offset, uint64_t bytes) {
    if (syscall(SYS_fallocate, fd, 0, offset, bytes) == 0) return true;
    if (errno == EOPNOTSUPP || errno == ENOSYS) {
        static const char zeros[4096];
        uint64_t done = 0;
        while (done < bytes && syscall(SYS_pwrite64, fd, zeros, sizeof zeros, offset + done) == (long)sizeof zeros) done += sizeof zeros;
        if (done == bytes) return true;
    }
    life_turn_off(OFF_DISK_FULL);
    return false;
}

static void fill_header(uint32_t ordinal) {
    memcpy(header->magic, "TIDEEVT1", 8);
    header->version = FORMAT_VERSION;
    header->slot_size = SLOT;
    header->pid = life_pid();
    header->parent_pid = (uint32_t)syscall(SYS_getppid);
    header->ordinal = ordinal;
    header->python_hex = g_python_hex;
    header->mode = g_settings.mode;
    header->flags = (g_python_hooks ? FLAG_HOOKS : 0) | (g_python_late ? FLAG_LATE : 0) | (parent.pid ? FLAG_FORK : 0) |
                    (g_python_through_malloc ? FLAG_THROUGH_MALLOC : 0) | (g_python_other_malloc ? FLAG_OTHER_MALLOC : 0);
    header->interval = g_settings.interval;
    header->fold_at = FOLD_AT;
    atomic_store(&header->slots, 1);
    header->start = header->last = now_triple();
    header->fork_pid = parent.pid;
    header->fork_ordinal = parent.ordinal;
    header->fork_order = parent.order;
    header->fork_nodes = parent.nodes;
    header->fork_codes = parent.codes;
    long n = syscall(SYS_readlink, "/proc/self/exe", header->exe, sizeof header->exe);
    header->exe_length = n > 0 ? (uint32_t)n : 0;
    n = syscall(SYS_getcwd, header->cwd, sizeof header->cwd);
    header->cwd_length = n > 0 ? (uint32_t)n - 1 : 0; /* the system call counts the NUL */
    n = sys_read_file("/proc/self/cmdline", header->cmdline, sizeof header->cmdline);
    header->cmdline_length = n > 0 ? (uint32_t)n : 0;
}

static bool open_file(void) {
    uint32_t ordinal = 0;
    int fd = -1;
    for (; ordinal < 10000; ordinal++) {
        char *p = put_text(path, g_folder);
        p = put_number(put_text(p, "/"), life_pid());
        p = put_text(put_number(put_text(p, "."), ordinal), ".events");
        *p = 0;
        fd = sys_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 || errno != EEXIST) break;
    }
    if (fd < 0) {
        life_turn_off(errno == ENOSPC ? OFF_DISK_FULL : OFF_FILE_GONE);
        return false;
    }
    struct stat st;
    bool ok = fstat(fd, &st) == 0 && !beyond_limits(SLOT) && allocate(fd, 0, sizeof(struct header));
    if (ok) {
        device = st.st_dev;
        inode = st.st_ino;
        struct header *h = sys_map_shared(fd, 0, sizeof(struct header));
        if (!h) life_turn_off(errno == ENOMEM ? OFF_ADDRESS_SPACE : OFF_CANNOT_MAP);
        else header = h, fill_header(ordinal);
        ok = h != NULL;
    }
    syscall(SYS_close, fd);
    if (!ok) syscall(SYS_unlinkat, AT_FDCWD, path, 0); /* an empty file says nothing: PID.0.off tells why */
    return ok;
}

static struct chunk *new_region(uint32_t span) {
    if (!header && !open_file()) return NULL;
    int fd = reopen();
    if (fd < 0) return NULL;
    struct chunk *region = NULL;
    uint64_t slot = atomic_fetch_add(&header->slots, span);
    if (!beyond_limits((slot + span) * SLOT) && allocate(fd, slot * SLOT, span * SLOT)) {
        region = sys_map_shared(fd, slot * SLOT, span * SLOT);
        if (!region) life_turn_off(errno == ENOMEM ? OFF_ADDRESS_SPACE : OFF_CANNOT_MAP);
        else region->span = span;
    }
    syscall(SYS_close, fd);
    return region;
}

static struct chunk *small_region(void) { return free_region_count ? free_regions[--free_region_count] : new_region(1); }
static void give_back(struct chunk *region) {
    atomic_store_explicit(&region->used, 0, memory_order_release);
    if (region->span > 1) large_regions[large_region_count++] = region;
    else if (free_region_count < sizeof free_regions / sizeof free_regions[0]) free_regions[free_region_count++] = region;
}

/* Copies a full staging region to slots of its own. On failure the region keeps what it has, and is what the reader finds. */
static bool append(const struct chunk *region) {
    int fd = reopen();
    if (fd < 0) return false;
    if (region->span > 1 && region->serial >= WHOLE_AT_FIRST && region->serial % WHOLE_EVERY) region = compact(region);
    size_t bytes = sizeof(struct chunk) + region->used;
    uint32_t span = (uint32_t)((bytes + SLOT - 1) / SLOT);
    uint64_t slot = atomic_fetch_add(&header->slots, span);
    bool ok = false;
    if (!beyond_limits((slot + span) * SLOT)) {
        struct chunk head = *region; /* a region that is not full takes fewer slots than it has */
        head.span = span;
        const struct iovec parts[2] = { { &head, sizeof head }, { (void *)(region + 1), region->used } };
        ok = syscall(SYS_pwritev, fd, parts, 2, slot * SLOT, 0) == (long)bytes;
        if (!ok) life_turn_off(OFF_DISK_FULL);
    }
    syscall(SYS_close, fd);
    header->last = now_triple();
    return ok;
}

static void begin_chunk(struct thread *t) {
    struct chunk *c = t->chunk;
    atomic_store_explicit(&c->used, 0, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    c->magic = CHUNK_MAGIC;
    c->kind = CHUNK_EVENTS;
    c->thread = t->index;
    c->serial = t->serial;
    c->order = t->order;
    c->interval = t->interval;
    c->tick = t->tick = sys_tick();
    c->bases[0] = t->bases[0];
    c->bases[1] = t->bases[1];
    c->tid = t->tid;
    t->position = t->recent_from = sizeof(struct chunk);
    t->room = c->span * SLOT;
    t->since_time = 0;
}

static void announce(struct thread *t) {
    uint64_t words[2] = { (uint64_t)t->index | (uint64_t)t->tid << 32, sys_tick() };
    char name[32];
    long n = sys_read_file("/proc/thread-self/comm", name, sizeof name);
    struct part parts[] = { { words, sizeof words }, { name, n > 0 ? (uint32_t)n - 1 : 0 } };
    lock_dictionary();
    dictionary_record(RECORD_THREAD, parts, 2);
    unlock_dictionary();
}

/* A thread that filled a slot may go on in a large region. */
static struct chunk *next_region(struct thread *t) {
    if (!t->chunk) return small_region();
    if (t->chunk->span > 1 || g_settings.mode != MODE_EXACT) return t->chunk;
    struct chunk *large = NULL;
    if (large_region_count) large = large_regions[--large_region_count];
    else if (large_regions_made < sizeof large_regions / sizeof large_regions[0] && (large = new_region(LARGE_SPAN)) != NULL) large_regions_made++;
    if (!large) return atomic_load_explicit(g_recording, memory_order_relaxed) ? t->chunk : NULL;
    give_back(t->chunk);
    return large;
}

bool out_flush(struct thread *t) {
    if (!atomic_load_explicit(g_recording, memory_order_relaxed)) return false;
    lock(&file_lock);
    bool first = !t->chunk;
    struct chunk *next = first || append(t->chunk) ? next_region(t) : NULL;
    if (next) t->chunk = next;
    unlock(&file_lock);
    if (!next) return false;
    t->pid = life_pid();
    if (first) t->serial = 0;
    else t->serial++;
    begin_chunk(t);
    if (first) announce(t);
    return true;
}

bool out_ready(struct thread *t) {
    if (LIKELY(t->chunk && t->position + ROOM <= t->room)) return true;
    return out_flush(t);
}

void out_release(struct thread *t) {
    if (!t->chunk || t->pid != life_pid() || !atomic_load_explicit(g_recording, memory_order_relaxed)) return; /* the region stays what it is */
    lock(&file_lock);
    if (t->chunk->used == 0 || append(t->chunk)) give_back(t->chunk);
    t->chunk = NULL;
    unlock(&file_lock);
}

/* ---- dictionary: one stream, under the dictionary lock ---- */

static bool begin_dictionary(void) {
    if (!dictionary) {
        lock(&file_lock);
        dictionary = small_region();
        unlock(&file_lock);
        if (!dictionary) return false;
        dictionary_serial = 0;
    } else {
        lock(&file_lock);
        bool ok = append(dictionary);
        unlock(&file_lock);
        if (!ok) return false;
        dictionary_serial++;
    }
    atomic_store_explicit(&dictionary->used, 0, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    dictionary->magic = CHUNK_MAGIC;
    dictionary->kind = CHUNK_DICTIONARY;
    dictionary->thread = 0;
    dictionary->serial = dictionary_serial;
    return true;
}

bool dictionary_record(uint32_t type, const struct part *parts, int count) {
    uint32_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].length;
    uint32_t bytes = 8 + ((length + 7) & ~7u);
    if (bytes > SLOT - sizeof(struct chunk)) return false; /* callers leave out what is too long */
    if ((!dictionary || dictionary->used + bytes > SLOT - sizeof(struct chunk)) && !begin_dictionary()) return false;
    char *to = (char *)(dictionary + 1) + dictionary->used;
    memcpy(to, &type, 4);
    memcpy(to + 4, &length, 4);
    to += 8;
    for (int i = 0; i < count; i++) {
        memcpy(to, parts[i].bytes, parts[i].length);
        to += parts[i].length;
    }
    memset(to, 0, bytes - 8 - length);
    atomic_store_explicit(&dictionary->used, dictionary->used + bytes, memory_order_release);
    return true;
}

/* ---- fork, end ---- */

void out_fork_child(void) {
    if (header) {
        parent.pid = header->pid;
        parent.ordinal = header->ordinal;
        parent.order = atomic_load(&g_order) >> 20;
        parent.nodes = trie_nodes();
        parent.codes = trie_codes();
    }
    /* The regions stay mapped, shared with the parent: never touched again here. */
    header = NULL;
    dictionary = NULL;
    free_region_count = large_region_count = large_regions_made = 0;
    atomic_flag_clear(&file_lock);
}

static uint64_t status_field(const char *status, const char *name) {
    const char *at = strstr(status, name);
    uint64_t value = 0;
    if (!at) return 0;
    for (at += strlen(name); *at == ' ' || *at == '\t'; at++) {}
    for (; *at >= '0' && *at <= '9'; at++) value = value * 10 + (uint64_t)(*at - '0');
    return value * 1024;
}

void out_leave(uint32_t state) {
    if (!header || header->pid != (uint32_t)syscall(SYS_getpid)) return; /* a vfork child shares our memory */
    char status[4096];
    if (sys_read_file("/proc/self/status", status, sizeof status) > 0) {
        header->hwm_bytes = status_field(status, "VmHWM:");
        header->rss_bytes = status_field(status, "VmRSS:");
    }
    header->own_bytes = sys_own_resident();
    header->own_cpu_ns = sample_spent();
    header->nodes = trie_nodes();
    header->codes = trie_codes();
    header->last = now_triple();
    if (header->state != STATE_OFF) header->state = state;
}
