/* tidegauge-launch: steps of starting a program that Node cannot do without changing the program's life.
 *
 *   tidegauge-launch before COMMAND...
 *       Node raises the limit of open files, resets ignored signals and marks inherited descriptors close-on-exec when it starts, and
 *       limits of memory, file size and CPU are meant for the program, not for it. Note them first, lift what may be lifted, then become
 *       COMMAND; in its arguments, `{inherited}` stands for the note.
 *
 *   tidegauge-launch program CHANNEL INHERITED TAIL RECORDER PRELOAD FOLDER FILE ARGV...
 *       Start FILE as a child with the noted state, wait for it, and tell about it in lines on descriptor CHANNEL:
 *           pid PID | fail ERRNO | end WAITSTATUS USERMICROSECONDS SYSTEMMICROSECONDS MAXRSSKIB
 *       The program is forked from this small process, not from Node, so that its `ru_maxrss` is its own (a program inherits the
 *       high-water mark of the memory it was forked from). The environment and the last TAIL arguments are taken from the recorder
 *       (PID RECORDER) as the bytes they were: JavaScript strings cannot hold every file name. This process outlives a killed
 *       recorder and never stands in the way of signals: it blocks them all.
 *
 *   tidegauge-launch hold PID
 *       Make every thread of a process stand still until standard input ends: "held" when they do, "refused ERRNO" when they cannot be
 *       made to, and at the end "released NANOSECONDS", how long it took. By ptrace (PTRACE_SEIZE), which neither the process's parent nor its
 *       shell sees, unlike SIGSTOP; and since the kernel lets go of what a tracer held when the tracer dies, nobody can leave it standing.
 *
 *   tidegauge-launch clock
 *       What reading the time costs on this machine: "TICK MONOTONIC", nanoseconds a call. The agent reads the processor's tick.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { HIGHEST_FD = 255 };

/* Limits by the word that stands for them in the note. */
static const struct {
    const char *word;
    int resource;
} LIMITS[] = {{"nofile:", RLIMIT_NOFILE}, {"as:", RLIMIT_AS}, {"data:", RLIMIT_DATA}, {"fsize:", RLIMIT_FSIZE}, {"cpu:", RLIMIT_CPU}};
enum { LIMIT_COUNT = sizeof LIMITS / sizeof *LIMITS };

/* Below this address space Node does not start. */
static const rlim_t LEAST_ADDRESS_SPACE = (rlim_t)1 << 30;

/* "nofile:SOFT,as:SOFT,…,ignored:HEX,blocked:HEX,closed:HEX,fds:3.5.": masks have bit n-1 for signal n, bit n for descriptor n of 0 to 2. */
static void note_inherited(char *text, size_t size) {
    int n = 0;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        struct rlimit limit = {0, 0};
        getrlimit(LIMITS[i].resource, &limit);
        n += snprintf(text + n, size - (size_t)n, "%s%llu,", LIMITS[i].word, (unsigned long long)limit.rlim_cur);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(LIMITS[i].resource, &limit);
    }
    uint64_t ignored = 0, blocked = 0;
    sigset_t mask;
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int s = 1; s <= 64; s++) {
        struct sigaction action;
        if (sigaction(s, NULL, &action) == 0 && action.sa_handler == SIG_IGN) ignored |= UINT64_C(1) << (s - 1);
        if (sigismember(&mask, s) == 1) blocked |= UINT64_C(1) << (s - 1);
    }
    unsigned closed = 0;
    for (int fd = 0; fd <= 2; fd++) closed |= (unsigned)(fcntl(fd, F_GETFD) < 0) << fd;
    n += snprintf(text + n, size - (size_t)n, "ignored:%llx,blocked:%llx,closed:%x,fds:", (unsigned long long)ignored, (unsigned long long)blocked, closed);
    for (int fd = 3; fd <= HIGHEST_FD && (size_t)n + 8 < size; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && !(flags & FD_CLOEXEC)) n += snprintf(text + n, size - (size_t)n, "%d.", fd);
    }
}

static int before(char **command) {
    char text[2048];
    struct rlimit space;
    note_inherited(text, sizeof text);
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur < LEAST_ADDRESS_SPACE) {
        fprintf(stderr, "tidegauge: the limit of address space (ulimit -v %llu) is too small for Node.js; set it for the program alone: "
                "tidegauge run -- sh -c 'ulimit -v %llu; exec python3 script.py'\n",
                (unsigned long long)space.rlim_cur / 1024, (unsigned long long)space.rlim_cur / 1024);
        return 3;
    }
    for (char **arg = command; *arg; arg++) {
        char *at = strstr(*arg, "{inherited}");
        if (!at) continue;
        char *filled;
        if (asprintf(&filled, "%.*s%s%s", (int)(at - *arg), *arg, text, at + strlen("{inherited}")) > 0) *arg = filled;
        break;
    }
    execvp(command[0], command);
    fprintf(stderr, "tidegauge: cannot start %s: %s\n", command[0], strerror(errno));
    return 3;
}

/* What follows a key of the note, or NULL. A key begins the note or stands behind a comma. */
static const char *noted(const char *inherited, const char *key) {
    const char *at = inherited;
    while ((at = strstr(at, key)) && at != inherited && at[-1] != ',') at++;
    return at ? at + strlen(key) : NULL;
}

static void restore_inherited(const char *inherited) {
    const char *at;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        struct rlimit limit;
        if (!(at = noted(inherited, LIMITS[i].word)) || getrlimit(LIMITS[i].resource, &limit) < 0) continue;
        limit.rlim_cur = strtoull(at, NULL, 10);
        setrlimit(LIMITS[i].resource, &limit);
    }
    uint64_t ignored = (at = noted(inherited, "ignored:")) ? strtoull(at, NULL, 16) : 0;
    uint64_t blocked = (at = noted(inherited, "blocked:")) ? strtoull(at, NULL, 16) : 0;
    sigset_t mask;
    sigemptyset(&mask);
    for (int s = 1; s <= 64; s++) {
        if (ignored >> (s - 1) & 1) signal(s, SIG_IGN);
        if (blocked >> (s - 1) & 1) sigaddset(&mask, s);
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* Node puts /dev/null where a descriptor of 0 to 2 was closed, and between inherited ones. */
static void close_holes(const char *inherited, int channel, int news) {
    const char *closed = noted(inherited, "closed:");
    for (int fd = 0; fd <= 2; fd++)
        if (closed && strtoul(closed, NULL, 16) >> fd & 1) close(fd);
    const char *fds = noted(inherited, "fds:");
    for (int fd = 3; fd < channel; fd++) {
        char item[16];
        snprintf(item, sizeof item, "%d.", fd);
        const char *at = fds;
        while (at && (at = strstr(at, item)) && at != fds && at[-1] != '.') at++;
        if (!at && fd != news) close(fd);
    }
}

/* The whole file, NUL-terminated, or NULL. */
static char *slurp(const char *path, size_t *length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    size_t room = 65536, used = 0;
    char *text = malloc(room + 1);
    for (ssize_t got; text && (got = read(fd, text + used, room - used)) > 0;) {
        used += (size_t)got;
        if (used == room) text = realloc(text, (room *= 2) + 1);
    }
    close(fd);
    if (text) text[used] = 0;
    *length = used;
    return text;
}

/* NUL-separated strings as a NULL-terminated vector; NULL when there is nothing. */
static char **vector(char *text, size_t length, size_t *count) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++) n += text[i] == 0;
    char **items = n ? calloc(n + 1, sizeof *items) : NULL;
    for (size_t i = 0, k = 0; items && k < n; k++, i += strlen(text + i) + 1) items[k] = text + i;
    *count = n;
    return items;
}

/* The recorder's environment and the tail of its arguments, as bytes. Left as they came when they cannot be read. */
static void take_bytes(const char *recorder, size_t tail, char **argv) {
    if (atoi(recorder) != getppid()) return;
    char path[64], *text;
    size_t length, count, argc = 0;
    snprintf(path, sizeof path, "/proc/%s/environ", recorder);
    char **items = (text = slurp(path, &length)) ? vector(text, length, &count) : NULL;
    if (items) environ = items;
    snprintf(path, sizeof path, "/proc/%s/cmdline", recorder);
    items = (text = slurp(path, &length)) ? vector(text, length, &count) : NULL;
    while (argv[argc]) argc++;
    if (items && tail <= count && tail <= argc) memcpy(argv + argc - tail, items + count - tail, tail * sizeof *argv);
}

/* TIDEGAUGE_ROOT: which process of the run is its root; descendants inherit the variable, not the PID. */
static void set_environment(const char *preload, const char *folder) {
    char root[16];
    snprintf(root, sizeof root, "%d", (int)getpid());
    setenv("TIDEGAUGE_ROOT", root, 1);
    if (*preload) {
        const char *others = getenv("LD_PRELOAD");
        char *value;
        if (asprintf(&value, "%s%s%s", preload, others && *others ? ":" : "", others ? others : "") > 0)
            setenv("LD_PRELOAD", value, 1);
    }
    setenv("TIDEGAUGE_RUN", folder, 1);
}

static void tell(int channel, const char *what, long a, long b, long c, long d) {
    char line[128];
    int n = snprintf(line, sizeof line, "%s %ld %ld %ld %ld\n", what, a, b, c, d);
    if (write(channel, line, (size_t)n) < 0) return; /* the recorder is gone: the program goes on all the same */
}

/* Keep nothing of the program's open: a pipe that it closes must be closed. */
static void let_go(int channel) {
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2 && null >= 0; fd++) dup2(null, fd);
    for (int fd = 3; fd <= HIGHEST_FD; fd++)
        if (fd != channel) close(fd);
}

static int program(char **argv) {
    int channel = atoi(argv[0]);
    const char *inherited = argv[1], *preload = argv[4], *folder = argv[5], *file = argv[6];
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    fcntl(channel, F_SETFD, FD_CLOEXEC);
    take_bytes(argv[3], strtoul(argv[2], NULL, 10), argv + 7);
    int news[2]; /* closes when the program's file is executed, else tells why not */
    pid_t child = pipe2(news, O_CLOEXEC) < 0 ? -1 : fork();
    int failure = child < 0 ? errno : 0;
    if (child == 0) {
        close_holes(inherited, channel, news[1]);
        set_environment(preload, folder);
        restore_inherited(inherited);
        execvpe(file, argv + 7, environ);
        failure = errno;
        if (write(news[1], &failure, sizeof failure) < 0) return 127;
        _exit(127);
    }
    if (child > 0) {
        close(news[1]);
        if (read(news[0], &failure, sizeof failure) < 0) failure = errno;
        close(news[0]);
    }
    if (failure != 0) {
        tell(channel, "fail", failure, 0, 0, 0);
        return 3;
    }
    tell(channel, "pid", child, 0, 0, 0);
    let_go(channel);
    int status = 0;
    struct rusage used;
    while (wait4(child, &status, 0, &used) < 0 && errno == EINTR) {
    }
    tell(channel, "end", status, used.ru_utime.tv_sec * 1000000L + used.ru_utime.tv_usec,
         used.ru_stime.tv_sec * 1000000L + used.ru_stime.tv_usec, used.ru_maxrss);
    return 0;
}

static uint64_t tick(void) {
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#else
    return 0;
#endif
}

static uint64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

enum { LONGEST_WAIT_MS = 2000, MOST_THREADS = 65536 };

/* A thread that is held, and the signal that it was about to take, which it takes when it is let go. */
struct held {
    pid_t thread;
    int signal;
};

/* 0: it stands still, or has ended (thread 0); else an errno. */
static int hold_thread(pid_t thread, struct held *held) {
    *held = (struct held){0, 0};
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0) return errno == ESRCH ? 0 : errno;
    if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0) return errno == ESRCH ? 0 : errno;
    held->thread = thread;
    for (int ms = 0; ms < LONGEST_WAIT_MS * 10; ms++) {
        int status;
        pid_t got = waitpid(thread, &status, __WALL | WNOHANG);
        if (got == thread && WIFSTOPPED(status)) {
            /* Above bit 16 stands the event: PTRACE_INTERRUPT's own stop, or a group stop, carries no signal to hand on. */
            held->signal = status >> 16 ? 0 : WSTOPSIG(status);
            return 0;
        }
        if (got != 0) {
            held->thread = 0;
            return 0;
        }
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
    return EBUSY; /* it waits inside the kernel, for a disk or for the child of a vfork */
}

/* Threads can be born while others are being held: until a look at all of them finds none that is new. */
static int hold_all(const char *pid, struct held *held, int *count) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    for (int found = 1; found > 0;) {
        DIR *folder = opendir(path);
        if (!folder) return ESRCH;
        found = 0;
        for (struct dirent *entry; (entry = readdir(folder));) {
            pid_t thread = atoi(entry->d_name);
            int known = thread <= 0;
            for (int i = 0; i < *count && !known; i++) known = held[i].thread == thread;
            if (known) continue;
            if (*count == MOST_THREADS) return closedir(folder), E2BIG;
            int failure = hold_thread(thread, &held[*count]);
            if (failure) return closedir(folder), failure;
            if (held[*count].thread) found++, ++*count;
        }
        closedir(folder);
    }
    return *count ? 0 : ESRCH;
}

static int hold(const char *pid) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    static struct held held[MOST_THREADS];
    int count = 0;
    uint64_t start = monotonic();
    int failure = hold_all(pid, held, &count);
    char byte;
    if (failure) printf("refused %d\n", failure);
    else printf("held\n");
    fflush(stdout);
    while (!failure && read(0, &byte, 1) > 0) {
    }
    for (int i = 0; i < count; i++) ptrace(PTRACE_DETACH, held[i].thread, NULL, (void *)(intptr_t)held[i].signal);
    if (!failure) printf("released %llu\n", (unsigned long long)(monotonic() - start));
    return 0;
}

/* The best of some rounds: what disturbs a round only makes it longer. */
static double cost(uint64_t (*read_clock)(void)) {
    enum { ROUNDS = 10, CALLS = 2000 };
    volatile uint64_t sink;
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = monotonic();
        for (int i = 0; i < CALLS; i++) sink = read_clock();
        uint64_t took = monotonic() - start;
        if (took < best) best = took;
    }
    (void)sink;
    return (double)best / CALLS;
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "before") == 0) return before(argv + 2);
    if (argc >= 10 && strcmp(argv[1], "program") == 0) return program(argv + 2);
    if (argc == 3 && strcmp(argv[1], "hold") == 0) return hold(argv[2]);
    if (argc == 2 && strcmp(argv[1], "clock") == 0) return printf("%.1f %.1f\n", cost(tick), cost(monotonic)) < 0;
    fprintf(stderr, "tidegauge-launch is a part of tidegauge: run tidegauge\n");
    return 2;
}
