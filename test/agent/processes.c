/* Ways to get another process that Python does not use itself. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int result(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* No fork handler runs: the agent does not hear of this child. */
int bare_clone(void) {
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        for (int i = 0; i < 30000; i++) free(malloc(80001));
        _exit(7);
    }
    return result(child);
}

/* The child runs on the parent's memory. It may not allocate; this one does all the same, so much that a region of the event file fills up. */
int vfork_child(void) {
    void *volatile kept = NULL;
    pid_t child = vfork();
    if (child == 0) {
        for (int i = 0; i < 30000; i++) { void *volatile p = malloc(80002); free(p); }
        kept = malloc(80003);
        _exit(8);
    }
    int status = result(child);
    free(kept);
    return status;
}

int list_exec(const char *python) {
    pid_t child = fork();
    if (child == 0) {
        execl(python, python, "-I", "-S", "-c", "keep = bytes(50007)", (char *)NULL);
        _exit(9);
    }
    return result(child);
}
