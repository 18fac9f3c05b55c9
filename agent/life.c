/* Start, fork, exec, exit, turning off. */
#include "agent.h"
#include "event.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct settings g_settings = { MODE_ADAPTIVE, 0, 0, 1250 };
static _Atomic bool before_start;
_Atomic bool *g_recording = &before_start;
char g_folder[MAX_PATH];
static uint32_t pid;

extern void thread_end(void *state);

uint32_t life_pid(void) { return pid; }

static const char *const WHY[] = {
    [OFF_DISK_FULL] = "the disk is full",
    [OFF_FILE_LIMIT] = "the file size limit (ulimit -f) is too small",
    [OFF_MAX_BYTES] = "the limit for the recording is too small",
    [OFF_FILE_GONE] = "the run folder is gone",
    [OFF_ADDRESS_SPACE] = "the address space limit (ulimit -v) is too small",
    [OFF_TRIE_FULL] = "there are too many stacks",
    [OFF_NO_DESCRIPTOR] = "the program has used up its file descriptors",
    [OFF_NOT_PERMITTED] = "the program may not write into the run folder",
    [OFF_CANNOT_MAP] = "the file system of the run folder cannot map files into memory",
};

/* Recording ends for this process; the hooks stay and each thread finds out at its next slow path. The program goes on. The reason stands in the header;
 * where there is no file yet, in a line of its own. */
void life_turn_off(enum off_reason reason) {
    atomic_store(g_recording, false);
    struct header *h = out_header();
    if (!h) life_write_off(WHY[reason]);
    if (!h || h->state == STATE_OFF) return;
    h->reason = reason;
    h->state = STATE_OFF;
}

/* PID.0.off: one line for the recorder, which tells the user why there are no lines. */
void life_write_off(const char *why) {
    static char name[MAX_PATH + 64]; /* threads' stacks may be small; the text is the same whoever writes it */
    char *p = put_text(put_number(put_text(put_text(name, g_folder), "/"), pid), ".0.off");
    *p = 0;
    int fd = sys_open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) return;
    syscall(SYS_write, fd, why, strlen(why));
    syscall(SYS_write, fd, "\n", 1);
    syscall(SYS_close, fd);
}

uint64_t setting(const char *text, const char *key, uint64_t otherwise) {
    size_t length = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, key, length) == 0 && line[length] == '=') return strtoull(line + length + 1, NULL, 10);
    return otherwise;
}

static bool read_settings(void) {
    const char *folder = getenv("TIDEGAUGE_RUN");
    if (!folder || !*folder || strlen(folder) >= sizeof g_folder - 64) return false;
    strcpy(g_folder, folder);
    static char name[MAX_PATH + 64], text[2048];
    *put_text(put_text(name, g_folder), "/settings") = 0;
    if (sys_read_file(name, text, sizeof text) < 0) return false; /* the run is over, or is not ours to see */
    const char *mode = strstr(text, "mode=");
    if (mode && strncmp(mode + 5, "exact", 5) == 0) g_settings.mode = MODE_EXACT;
    if (mode && strncmp(mode + 5, "interval", 8) == 0) g_settings.mode = MODE_INTERVAL;
    g_settings.interval = g_settings.mode == MODE_INTERVAL ? setting(text, "interval", 65536) : 0;
    g_settings.max_bytes = setting(text, "maxBytes", 0);
    snapshot_settings(text);
    /* The user's figure is the whole overhead: hooks and frees of unrecorded blocks take about 1.5 %, and reading an event after the run costs many times
     * what writing it did. */
    uint64_t percent = setting(text, "overhead", 3);
    g_settings.overhead_ppm = percent > 1 ? (uint32_t)(((double)percent * 1e4 - 15000) / 12) : 200;
    return true;
}

/* ---- fork ---- */

static bool recording_before_fork;

static void before_fork(void) {
    lock_maps();
    lock_dictionary();
    recording_before_fork = atomic_load(g_recording);
}
static void after_fork_parent(void) {
    unlock_dictionary();
    unlock_maps();
}
static void after_fork_child(void) {
    unlock_dictionary();
    unlock_maps();
    pid = (uint32_t)syscall(SYS_getpid);
    atomic_store(g_recording, recording_before_fork);
    thread_fork_child();
    snapshot_fork_child();
}
/* A number of its own separates what came before the fork from what comes after, also in the forking thread's stream. */
static void number_fork(void) {
    uint64_t held = atomic_load(&g_order);
    while (!atomic_compare_exchange_weak(&g_order, &held, ((held >> 20) + 1) << 20 | 0xfffff)) {}
    before_fork();
}

__attribute__((constructor)) static void start(void) {
    int kept = errno;
    int64_t left = tls_left;
    tls_left = OFF;
    pid = (uint32_t)syscall(SYS_getpid);
    free(malloc(1)); /* the real functions are resolved before anything else */
    if (read_settings() && pthread_key_create(&g_thread_key, thread_end) == 0 && python_start()) {
        pthread_atfork(number_fork, after_fork_parent, after_fork_child);
        sample_start();
        _Atomic bool *page = sys_map(4096);
        if (page && syscall(SYS_madvise, page, 4096, MADV_WIPEONFORK) == 0) g_recording = page;
        atomic_store(g_recording, true);
        left = 0;
    } else left = OFF;
    tls_left = left;
    errno = kept;
}

/* ---- the end of a process image ---- */

static void leave(uint32_t state) {
    int kept = errno;
    int64_t left = tls_left;
    tls_left = OFF;
    out_leave(state);
    tls_left = left;
    errno = kept;
}
__attribute__((destructor)) static void finish(void) { leave(STATE_EXITED); }

EXPORT __attribute__((noreturn)) void _exit(int status) {
    leave(STATE_EXITED);
    for (;;) syscall(SYS_exit_group, status);
}
EXPORT __attribute__((noreturn)) void _Exit(int status) { _exit(status); }

/* exec that fails returns: the image goes on and so does its recording. The next function is looked up before main, since a fork child may find the
 * dynamic linker's lock held by a thread that is not there any more. */
#define EXEC(name, parameters, arguments)                                                                    \
    static int(*next_##name) parameters;                                                                     \
    __attribute__((constructor)) static void find_##name(void) { *(void **)&next_##name = dlsym(RTLD_NEXT, #name); } \
    EXPORT int name parameters {                                                                             \
        leave(STATE_EXEC);                                                                                   \
        int result = next_##name arguments;                                                                  \
        leave(STATE_RUNNING);                                                                                \
        return result;                                                                                       \
    }
EXEC(execve, (const char *file, char *const argv[], char *const env[]), (file, argv, env))
EXEC(execv, (const char *file, char *const argv[]), (file, argv))
EXEC(execvp, (const char *file, char *const argv[]), (file, argv))
EXEC(execvpe, (const char *file, char *const argv[], char *const env[]), (file, argv, env))
EXEC(fexecve, (int fd, char *const argv[], char *const env[]), (fd, argv, env))

/* The variadic ones count their arguments and go on as one of the above. */
#define EXEC_LIST(name, take_environment, call)                                                   \
    EXPORT int name(const char *file, const char *first, ...) {                                   \
        va_list rest;                                                                             \
        size_t count = 1;                                                                         \
        va_start(rest, first);                                                                    \
        while (va_arg(rest, const char *)) count++;                                               \
        va_end(rest);                                                                             \
        char *argv[count + 1];                                                                    \
        argv[0] = (char *)first;                                                                  \
        va_start(rest, first);                                                                    \
        for (size_t i = 1; i <= count; i++) argv[i] = va_arg(rest, char *); /* the NULL as well */ \
        char **env = take_environment ? va_arg(rest, char **) : NULL;                             \
        (void)env;                                                                                \
        va_end(rest);                                                                             \
        return call;                                                                              \
    }
EXEC_LIST(execl, false, execv(file, argv))
EXEC_LIST(execlp, false, execvp(file, argv))
EXEC_LIST(execle, true, execve(file, argv, env))
