/* A frozen copy of the process for whoever reads its objects from outside: a raw clone() at a point where this thread holds the GIL and is inside no allocator, so
 * that every Python object is whole. The program stops for the clone alone; pages are shared until one side writes.
 *
 * The clone is invisible to the program: exit signal 0 means no SIGCHLD and no wait() that returns it (clone(2), __WCLONE), no pthread_atfork handler runs, and
 * it makes only direct system calls, so no lock that another thread held matters. It gives up the descriptors (a pipe's reader waits for nobody else) and the process
 * group, and ends when the file that says where it is is gone, or after ten minutes. */
#include "agent.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_WAIT_MS 600000
/* The two sides copy a page at its first write: a program that takes itself apart touches nearly all it has. Measured 0.56 and 0.66 s for
 * 309 MiB of small objects (docs/benchmarks.md). */
#define COPY_NS_PER_MIB 2000000u
#define ALWAYS_NS 30000000u /* so much is allowed however short the program was */

/* Auto: where that is cheap. End: whatever it costs in time; memory must be there. */
static enum { SNAPSHOTS_NONE, SNAPSHOTS_AUTO, SNAPSHOTS_END } wanted;
static uint64_t memory_limit;
static _Atomic uint32_t taken;
static pid_t last_clone;

/* PID.N.snap, or PID.N.skip with the reason that there is none. */
static void file_name(char *to, uint32_t number, const char *suffix) {
    *put_text(put_number(put_text(put_number(put_text(put_text(to, g_folder), "/"), life_pid()), "."), number), suffix) = 0;
}
static void skip(const char *why) {
    static char name[MAX_PATH + 64];
    file_name(name, taken, ".skip");
    int fd = sys_open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return;
    syscall(SYS_write, fd, why, strlen(why));
    syscall(SYS_close, fd);
}

/* The child: nothing here may touch libc's state. */
static __attribute__((noreturn)) void wait_to_be_read(const char *name) {
    syscall(SYS_setsid);
    syscall(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* Yama: the reader may be no ancestor of an orphan */
    int score = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY);
    if (score >= 0) syscall(SYS_write, score, "1000", 4); /* short of memory, the copy goes first */
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 0u, ~0u, 0u) != 0)
#endif
        for (int fd = 0; fd < 65536; fd++) syscall(SYS_close, fd);
    struct timespec pause = { 0, 10000000 };
    for (int ms = 0; ms < MOST_WAIT_MS && syscall(SYS_faccessat, AT_FDCWD, name, F_OK) == 0; ms += 10) syscall(SYS_nanosleep, &pause, NULL);
    for (;;) syscall(SYS_exit_group, 0);
}

static uint64_t resident_bytes(void) {
    char text[128], *rest;
    if (sys_read_file("/proc/self/statm", text, sizeof text) <= 0) return 0;
    strtoull(text, &rest, 10);
    return strtoull(rest, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What the kernel can give without swapping, page cache that it can drop included. */
static uint64_t available_bytes(void) {
    static char text[4096];
    const char *line = sys_read_file("/proc/meminfo", text, sizeof text) > 0 ? strstr(text, "MemAvailable:") : NULL;
    return line ? strtoull(line + 13, NULL, 10) * 1024 : UINT64_MAX;
}

static const char *why_not(uint64_t resident) {
    if (memory_limit && resident * 2 + (16u << 20) > memory_limit) return "the memory limit leaves no room for a copy of the program";
    if (resident > available_bytes()) return "the machine's free memory leaves no room for a copy of the program";
    uint64_t cost = (resident >> 20) * COPY_NS_PER_MIB;
    if (wanted == SNAPSHOTS_AUTO && cost > ALWAYS_NS && (double)cost > 0.03 * (double)sys_clock(CLOCK_PROCESS_CPUTIME_ID))
        return "it would have cost more than the overhead allowed";
    return NULL;
}

static void clone_it(const char *reason, uint64_t resident) {
    static char name[MAX_PATH + 64], text[512];
    file_name(name, taken, ".snap");
    /* The file is there before the copy, which ends when it finds none. */
    int fd = sys_open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return;
    uint64_t all = ~(uint64_t)0, before, start = sys_clock(CLOCK_MONOTONIC);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
    long child = syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
    if (child == 0) wait_to_be_read(name);
    int failure = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
    uint64_t stopped = sys_clock(CLOCK_MONOTONIC) - start;
    if (child > 0) {
        char *end = put_text(put_text(text, "reason="), reason);
        end = put_number(put_text(end, "\nmonotonic="), start);
        end = put_number(put_text(end, "\nresident="), resident);
        end = put_number(put_text(end, "\nstopped="), stopped);
        end = put_text(put_number(put_text(end, "\nclone="), (uint64_t)child), "\n");
        syscall(SYS_write, fd, text, (size_t)(end - text));
        last_clone = (pid_t)child;
    } else {
        syscall(SYS_unlinkat, AT_FDCWD, name, 0);
        skip(failure == EPERM ? "the system forbids a copy of the program (clone)" : "the system refused a copy of the program (clone)");
    }
    syscall(SYS_close, fd);
}

/* The calling thread holds the GIL and is inside no allocator. `reason`: end. */
void snapshot_take(const char *reason) {
    static _Atomic bool busy;
    if (wanted == SNAPSHOTS_NONE || atomic_exchange(&busy, true)) return;
    int kept = errno;
    int64_t left = tls_left;
    tls_left = OFF;
    if (last_clone && syscall(SYS_wait4, last_clone, NULL, WNOHANG | __WCLONE, NULL) != 0) last_clone = 0;
    uint64_t resident = resident_bytes();
    const char *reason_not = why_not(resident);
    if (reason_not) skip(reason_not);
    else clone_it(reason, resident);
    taken++;
    tls_left = left;
    errno = kept;
    atomic_store(&busy, false);
}

/* A pool's workers would each leave a copy behind that nobody reads. */
void snapshot_fork_child(void) { wanted = SNAPSHOTS_NONE; }

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

/* Only the root of the run is copied: the recorder reads no other. */
void snapshot_settings(const char *text) {
    const char *how = strstr(text, "snapshots="), *root = getenv("TIDEGAUGE_ROOT");
    memory_limit = setting(text, "memoryLimit", 0);
    if (!how || !root || strtoull(root, NULL, 10) != life_pid()) return;
    if (strncmp(how + 10, "auto", 4) == 0) wanted = SNAPSHOTS_AUTO;
    if (strncmp(how + 10, "end", 3) == 0) wanted = SNAPSHOTS_END;
}
