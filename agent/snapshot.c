/* A frozen copy of the process for whoever reads its objects from outside: a raw clone() at a point where this thread holds the GIL and is inside no allocator, so
 * that every Python object is whole. The program stops for the clone alone; pages are shared until one side writes.
 *
 * The clone is invisible to the program: exit signal 0 means no SIGCHLD and no wait() that returns it (clone(2), __WCLONE), no pthread_atfork handler runs, and
 * it makes only direct system calls, so no lock that another thread held matters. It gives up the descriptors (a pipe's reader waits for nobody else) and the process
 * group, writes a file that says where it is, and ends when that file is gone, or after a while. */
#include "agent.h"
#include "event.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_WAIT_MS 600000
/* The two sides copy a page at its first write: a program that takes itself apart touches nearly all it has. Measured 0.2 to 0.3 s a GB. */
#define COPY_NS_PER_MIB 300000u
#define ALWAYS_NS 30000000u /* so much is allowed however short the program was */

static enum { SNAPSHOTS_NONE, SNAPSHOTS_END } wanted;
static bool whatever_it_costs;
static uint64_t memory_limit;
static _Atomic uint32_t taken;
static pid_t last_clone;

static char *put(char *to, const char *text) {
    while (*text) *to++ = *text++;
    return to;
}
static char *put_number(char *to, uint64_t n) {
    char digits[24];
    int count = 0;
    do digits[count++] = (char)('0' + n % 10); while (n /= 10);
    while (count) *to++ = digits[--count];
    return to;
}

/* PID.N.snap, or PID.N.skip with the reason that there is none. */
static void file_name(char *to, uint32_t number, const char *suffix) {
    *put(put_number(put(put_number(put(put(to, g_folder), "/"), life_pid()), "."), number), suffix) = 0;
}
static bool write_file(const char *name, const char *text, const char *end) {
    int fd = sys_open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return false;
    bool whole = syscall(SYS_write, fd, text, (size_t)(end - text)) == end - text;
    syscall(SYS_close, fd);
    return whole;
}

static void skip(const char *why) {
    static char name[MAX_PATH + 64];
    file_name(name, taken, ".skip");
    write_file(name, why, why + strlen(why));
}

/* The child: nothing here may touch libc's state. */
static __attribute__((noreturn)) void wait_to_be_read(const char *name, const char *text, char *end) {
    syscall(SYS_setsid);
    syscall(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* Yama: the reader may be no ancestor of an orphan */
    int score = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY);
    if (score >= 0) syscall(SYS_write, score, "1000", 4); /* short of memory, the copy goes first */
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 0u, ~0u, 0u) != 0)
#endif
        for (int fd = 0; fd < 65536; fd++) syscall(SYS_close, fd);
    end = put_number(put(end, "clone="), (uint64_t)syscall(SYS_getpid));
    end = put(end, "\n");
    if (write_file(name, text, end)) {
        struct timespec pause = { 0, 10000000 };
        for (int ms = 0; ms < MOST_WAIT_MS; ms += 10) {
            syscall(SYS_nanosleep, &pause, NULL);
            if (syscall(SYS_faccessat, AT_FDCWD, name, F_OK) != 0) break;
        }
    }
    for (;;) syscall(SYS_exit_group, 0);
}

static uint64_t resident_bytes(void) {
    char text[128], *rest;
    if (sys_read_file("/proc/self/statm", text, sizeof text) <= 0) return 0;
    strtoull(text, &rest, 10);
    return strtoull(rest, NULL, 10) * 4096;
}

static const char *too_dear(uint64_t resident) {
    struct sysinfo machine;
    if (whatever_it_costs) return NULL;
    if (memory_limit && resident * 2 + (16u << 20) > memory_limit) return "the memory limit leaves no room for a copy of the program";
    if (syscall(SYS_sysinfo, &machine) == 0 && resident > ((uint64_t)machine.freeram + machine.bufferram) * machine.mem_unit)
        return "the machine's free memory leaves no room for a copy of the program";
    uint64_t cost = (resident >> 20) * COPY_NS_PER_MIB;
    if (cost > ALWAYS_NS && (double)cost > 0.03 * (double)sys_clock(CLOCK_PROCESS_CPUTIME_ID)) return "it would have cost more than the overhead allowed";
    return NULL;
}

/* The calling thread holds the GIL and is inside no allocator. `reason`: end, mark. */
void snapshot_take(const char *reason) {
    static char name[MAX_PATH + 64], text[512];
    static _Atomic bool busy;
    if (wanted == SNAPSHOTS_NONE || atomic_exchange(&busy, true)) return;
    int kept = errno;
    int64_t left = tls_left;
    tls_left = OFF;
    if (last_clone && syscall(SYS_wait4, last_clone, NULL, WNOHANG | __WCLONE, NULL) != 0) last_clone = 0;
    uint64_t resident = resident_bytes();
    const char *why_not = too_dear(resident);
    if (why_not) skip(why_not);
    else {
        file_name(name, taken, ".snap");
        char *end = put(put(put(text, "reason="), reason), "\nmonotonic=");
        end = put(put_number(end, sys_clock(CLOCK_MONOTONIC)), "\nresident=");
        end = put(put_number(end, resident), "\n");
        uint64_t all = ~(uint64_t)0, before;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
        uint64_t start = sys_clock(CLOCK_MONOTONIC);
        long child = syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
        if (child == 0) wait_to_be_read(name, text, end);
        uint64_t stopped = sys_clock(CLOCK_MONOTONIC) - start;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
        if (child < 0) skip(errno == EPERM ? "the system forbids a copy of the program (clone)" : "the system refused a copy of the program (clone)");
        else {
            last_clone = (pid_t)child;
            struct header *h = out_header();
            if (h) {
                h->snapshots++;
                h->snapshot_ns += stopped;
                if (stopped > h->snapshot_worst_ns) h->snapshot_worst_ns = stopped;
            }
        }
    }
    taken++;
    tls_left = left;
    errno = kept;
    atomic_store(&busy, false);
}

void snapshot_fork_child(void) { last_clone = 0, taken = 0; }

/* ---- at the end of the program ---------------------------------------------------------------------------------------------
 * The interpreter's own `atexit` runs after the threads were joined and before anything is taken apart (Py_FinalizeEx), also after an uncaught exception. Handlers
 * run last in, first out, and ours goes in first: what the program's handlers free is gone. */

typedef struct { const char *name; void *function; int flags; const char *doc; } method; /* PyMethodDef */

static void *at_exit(void *self, void *arguments) {
    (void)self, (void)arguments;
    snapshot_take("end");
    void *(*build)(const char *, ...) = dlsym(RTLD_DEFAULT, "Py_BuildValue");
    return build("");
}

/* A pending call: the main thread, between two instructions, with the GIL. An exception that is being handled stays as it is. */
static int register_at_exit(void *unused) {
    (void)unused;
    static method definition = { "tidegauge_end", at_exit, 4 /* METH_NOARGS */, NULL };
    void *(*import)(const char *) = dlsym(RTLD_DEFAULT, "PyImport_ImportModule");
    void *(*function)(method *, void *, void *) = dlsym(RTLD_DEFAULT, "PyCFunction_NewEx");
    void *(*call)(void *, const char *, const char *, ...) = dlsym(RTLD_DEFAULT, "PyObject_CallMethod");
    void (*release)(void *) = dlsym(RTLD_DEFAULT, "Py_DecRef");
    void (*fetch)(void **, void **, void **) = dlsym(RTLD_DEFAULT, "PyErr_Fetch");
    void (*restore)(void *, void *, void *) = dlsym(RTLD_DEFAULT, "PyErr_Restore");
    void (*clear)(void) = dlsym(RTLD_DEFAULT, "PyErr_Clear");
    if (!import || !function || !call || !release || !fetch || !restore || !clear || !dlsym(RTLD_DEFAULT, "Py_BuildValue")) return 0;
    int64_t left = tls_left;
    tls_left = OFF;
    void *type, *value, *traceback;
    fetch(&type, &value, &traceback);
    void *module = import("atexit"), *ours = module ? function(&definition, NULL, NULL) : NULL;
    void *result = ours ? call(module, "register", "O", ours) : NULL;
    if (!result) clear();
    if (result) release(result);
    if (ours) release(ours);
    if (module) release(module);
    restore(type, value, traceback);
    tls_left = left;
    return 0;
}

void snapshot_python_is_up(void) {
    static bool asked;
    if (asked || wanted == SNAPSHOTS_NONE) return;
    asked = true;
    int (*pending)(int (*)(void *), void *) = dlsym(RTLD_DEFAULT, "Py_AddPendingCall");
    if (pending) pending(register_at_exit, NULL);
}

void snapshot_settings(const char *text) {
    const char *how = strstr(text, "snapshots="), *limit = strstr(text, "memoryLimit=");
    if (how) wanted = strncmp(how + 10, "none", 4) == 0 ? SNAPSHOTS_NONE : SNAPSHOTS_END;
    whatever_it_costs = how && strncmp(how + 10, "end", 3) == 0;
    memory_limit = limit ? strtoull(limit + 12, NULL, 10) : 0;
}
