/* What every file of the agent shares. The agent lives inside the profiled program: it never allocates with the allocator that
 * it watches, takes no lock that the program can hold, and leaves errno alone (docs/architecture.md). */
#ifndef TIDEGAUGE_AGENT_H
#define TIDEGAUGE_AGENT_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((noinline, cold))
#define TLS __thread __attribute__((tls_model("initial-exec")))

/* ---- the countdown (sample.c) ----------------------------------------------------------------------------------------------
 * `tls_left` falls by every request's size; below zero the slow path decides. 0 at thread start, so that a thread's first request
 * comes to the slow path; -1 for ever in exact mode; OFF while the slow path runs (nested requests stay unseen) or nothing is recorded. */
#define OFF ((int64_t)1 << 62)
/* Blocks of this size and more are always recorded with weight 1: they pay page faults anyway, and arrays become exact. */
#define BIG 32768

struct thread;
extern TLS int64_t tls_left;
extern TLS struct thread *tls_thread;

enum domain { DOMAIN_MALLOC = 0, DOMAIN_PYMALLOC = 1, DOMAIN_MMAP = 2, DOMAIN_ARENA = 3 };
enum mode { MODE_EXACT = 0, MODE_INTERVAL = 1, MODE_ADAPTIVE = 2 };
enum off_reason { OFF_NONE, OFF_DISK_FULL, OFF_FILE_LIMIT, OFF_MAX_BYTES, OFF_FILE_GONE, OFF_ADDRESS_SPACE, OFF_TRIE_FULL, OFF_NO_DESCRIPTOR, OFF_NOT_PERMITTED, OFF_CANNOT_MAP };

/* One frame of the last walk of a thread, outermost first. */
struct saved {
    const char *frame, *code, *instr;
    const char *previous; /* the frame's link outwards as it stood: a Python frame, or a shim on the way to one */
    uint32_t node;        /* this frame innermost */
    uint32_t stem;        /* what deeper frames hang under: `node`, or where a recursion that goes on and on is folded, the outer frame's */
    uint16_t repeats[4];  /* frames in a row whose code is that of the frame 1, 2, 3, 4 further out */
};
#define MAX_DEPTH 65536
/* From this round of a recursion on its frames share a node (frames.c). Told in the file's header. */
#define FOLD_AT 8

struct node_cache {
    const char *code, *instr;
    uint32_t parent, node;
};
#define NODE_CACHE 512
#define FRAME_HASH 1024
#define RECENT 32768

struct thread {
    struct chunk *chunk;   /* staging region; NULL until the first event, and in a fork child until its file is open */
    uint32_t position;     /* next byte in the staging region */
    uint32_t room;         /* bytes of the staging region */
    uint32_t index, tid;
    uint32_t births;       /* since the last settling of the budget */
    uint64_t serial, interval, random;
    uint64_t order;        /* the order number this thread holds */
    uint32_t bases[2], next_base;
    uint32_t since_time;   /* events since the last time control */
    uint64_t debt, death_debt; /* estimated ns of the agent's work not settled yet */
    uint64_t tick;         /* of the chunk's start */
    uint32_t pid;          /* the process that owns `chunk` */
    uint32_t epoch;        /* of the code table, when the caches below were right */
    uint32_t depth, walks;
    struct saved *saved, *fresh;
    unsigned long self;    /* pthread_self() */
    struct thread *next_free;
    bool serving;          /* inside the allocator below a hook of Python's */
    uint32_t recent_from;  /* births before this position of the chunk may have been freed or re-used by another thread */
    uint16_t frame_hash[FRAME_HASH]; /* frame address -> index into saved, + 1 */
    uint16_t recent[RECENT];         /* block address -> word of its birth in the chunk */
    struct node_cache cache[NODE_CACHE];
};

/* ---- life.c ---- */
struct settings {
    enum mode mode;
    uint64_t interval, max_bytes;
    uint32_t overhead_ppm; /* share of the process's CPU time that recording may take, in millionths */
};
extern struct settings g_settings;
/* A Python runtime is there and nothing has turned the agent off. On a page that the kernel clears in a forked child, so that a child of which no fork handler told
 * us (a bare clone) does not write into its parent's file. */
extern _Atomic bool *g_recording;
#define MAX_PATH 4096
extern char g_folder[MAX_PATH];
COLD void life_turn_off(enum off_reason reason);
COLD void life_write_off(const char *why);
uint32_t life_pid(void);
uint64_t setting(const char *text, const char *key, uint64_t otherwise); /* a number of the settings file */

/* ---- sys.c: system calls that cannot reach the program's allocator or its wrappers ---- */
void *sys_map(size_t bytes);                       /* private, zero, not reserved; NULL when refused */
void *sys_map_shared(int fd, uint64_t offset, size_t bytes);
void sys_unmap(void *p, size_t bytes);
int sys_open(const char *path, int flags, int mode);
long sys_read_file(const char *path, char *buffer, size_t size); /* bytes read, text ends with a NUL; -1 */
char *put_text(char *to, const char *text);       /* appends; returns the end, without a NUL */
char *put_number(char *to, uint64_t n);
uint64_t sys_tick(void);
uint64_t sys_clock(int clock);
size_t sys_own_resident(void);                     /* resident bytes of everything that sys_map gave out */

/* ---- out.c: the event file ---- */
bool out_ready(struct thread *t);                  /* t has a staging region with room for one event and its controls */
bool out_flush(struct thread *t);
void out_release(struct thread *t);                /* the thread ends: keep what is in its region, free the region for the next thread */
struct part { const void *bytes; uint32_t length; };
bool dictionary_record(uint32_t type, const struct part *parts, int count); /* the dictionary lock is held */
void out_fork_child(void);
void out_leave(uint32_t state);
struct header *out_header(void);
bool out_is_open(void);
extern atomic_flag g_dictionary_lock;
void lock_dictionary(void);
void unlock_dictionary(void);

/* ---- snapshot.c: a frozen copy of the process for the reader of objects ---- */
void snapshot_settings(const char *text);
void snapshot_python_is_up(void);                  /* the calling thread holds the GIL */
void snapshot_take(const char *reason);
void snapshot_fork_child(void);

/* ---- thread.c ---- */
struct thread *thread_self(void);                  /* NULL when memory for it is refused */
void thread_fork_child(void);
extern pthread_key_t g_thread_key;
extern _Atomic uint64_t g_order;

/* ---- record.c: one event ---- */
void record_birth(struct thread *t, uint32_t node, uintptr_t address, size_t size, enum domain domain);
void record_death(struct thread *t, uintptr_t address, enum domain domain, bool foldable);
void record_full(struct thread *t, bool birth, uint32_t node, uintptr_t address, size_t size, enum domain domain);
void record_control(struct thread *t, uint32_t code, uint64_t payload);

/* ---- sample.c ---- */
int64_t sample_gap(struct thread *t);              /* a fresh countdown under the thread's interval; adopts the process's interval first */
void sample_settle(struct thread *t);
void sample_start(void);
void sample_main_began(void);                       /* the program's own code runs now */
uint64_t sample_spent(void);                       /* estimated CPU ns that recording took */
extern _Atomic uint64_t g_interval;

/* ---- frames.c ---- */
uint32_t frames_walk(struct thread *t, const void *caller); /* node of the calling thread's stack; 0: nothing known */

/* ---- trie.c ---- */
uint32_t trie_node(uint32_t parent, const char *code, const char *instr); /* 0: full */
uint32_t trie_native(uint32_t parent, const void *caller);
void trie_forget_code(const char *code);
uint32_t trie_string(const char *text, size_t length);
uint32_t trie_nodes(void);
uint32_t trie_codes(void);
extern _Atomic uint32_t g_code_epoch;

/* ---- maps.c: held from a mapping's system call to its event, so that events stand in the kernel's order; also while the process forks ---- */
void lock_maps(void);
void unlock_maps(void);

/* ---- python.c ---- */
bool python_start(void);                           /* finds the runtime, installs the hooks; false: none here or not one we know (reason written) */
void python_probe(void);                           /* hooks may have been replaced at start-up: put them back */
extern uint32_t g_python_hex;
extern bool g_python_hooks, g_python_late, g_python_settled, g_python_through_malloc, g_python_other_malloc; /* settled: Python is up, and the hooks were looked at since */
const char *python_frame(const struct thread *t);  /* innermost frame of the calling thread, or NULL */
bool python_owns(const void *address);             /* in the interpreter's or libc's text */
bool python_is_allocator(const void *caller);      /* the call comes from a preloaded malloc: what it maps holds blocks */

#endif
