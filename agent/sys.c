/* System calls made directly: libc's mmap, open and friends may be wrapped by us or by others. Every caller keeps errno (see SLOW_ENTER in record.h). */
#include "agent.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct region { void *start; size_t bytes; } own[4096];
static _Atomic uint32_t own_count;
static _Atomic size_t mapped; /* bytes of address space, by sys_map */

/* Under `ulimit -v` the program's own requests come first: the agent takes a quarter of the address space at most. */
static bool within_address_limit(size_t bytes) {
    struct rlimit limit;
    if (syscall(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
    return atomic_load(&mapped) + bytes <= limit.rlim_cur / 4;
}

void *sys_map(size_t bytes) {
    if (!within_address_limit(bytes)) return NULL;
    void *p = (void *)syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);
    if (p == MAP_FAILED) return NULL;
    atomic_fetch_add(&mapped, bytes);
    /* No huge pages: one touched mark would make 2 MiB resident. No core dump: the marks mean nothing there. */
    syscall(SYS_madvise, p, bytes, MADV_NOHUGEPAGE);
    syscall(SYS_madvise, p, bytes, MADV_DONTDUMP);
    uint32_t i = atomic_fetch_add(&own_count, 1);
    if (i < sizeof own / sizeof own[0]) own[i] = (struct region){ p, bytes };
    return p;
}

void *sys_map_shared(int fd, uint64_t offset, size_t bytes) {
    void *p = (void *)syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (long)offset);
    if (p == MAP_FAILED) return NULL;
    syscall(SYS_madvise, p, bytes, MADV_DONTDUMP);
    uint32_t i = atomic_fetch_add(&own_count, 1);
    if (i < sizeof own / sizeof own[0]) own[i] = (struct region){ p, bytes };
    return p;
}

void sys_unmap(void *p, size_t bytes) {
    uint32_t count = atomic_load(&own_count);
    for (uint32_t i = 0; i < count && i < sizeof own / sizeof own[0]; i++)
        if (own[i].start == p) own[i].bytes = 0;
    atomic_fetch_sub(&mapped, bytes);
    syscall(SYS_munmap, p, bytes);
}

static int open_at(const char *path, int flags, int mode) { return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode); }

int sys_open(const char *path, int flags, int mode) {
    int fd = open_at(path, flags, mode);
    struct rlimit limit;
    if (fd >= 0 || errno != EMFILE || syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) != 0) return fd;
    /* The program has used up its descriptors. Ours is open for microseconds: where the hard limit allows, the soft one makes room for it. */
    struct rlimit wider = { limit.rlim_cur + 16, limit.rlim_max };
    errno = EMFILE;
    if (wider.rlim_cur > limit.rlim_max || syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &wider, NULL) != 0) return -1;
    fd = open_at(path, flags, mode);
    int kept = errno;
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
    errno = kept;
    return fd;
}

long sys_read_file(const char *path, char *buffer, size_t size) {
    int fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0) return -1;
    size_t used = 0;
    while (used + 1 < size) {
        long n = syscall(SYS_read, fd, buffer + used, size - 1 - used);
        if (n <= 0) break;
        used += (size_t)n;
    }
    syscall(SYS_close, fd);
    buffer[used] = 0;
    return (long)used;
}

uint64_t sys_clock(int clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

char *put_text(char *to, const char *text) {
    while (*text) *to++ = *text++;
    return to;
}
char *put_number(char *to, uint64_t n) {
    char digits[24];
    int count = 0;
    do digits[count++] = (char)('0' + n % 10); while (n /= 10);
    while (count) *to++ = digits[--count];
    return to;
}

/* A cheap clock of unknown but constant rate; the reader interpolates between the (tick, ns) pairs in the header. */
uint64_t sys_tick(void) {
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#else
    return sys_clock(CLOCK_MONOTONIC);
#endif
}

size_t sys_own_resident(void) {
    static unsigned char pages[16384];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), resident = 0;
    uint32_t count = atomic_load(&own_count);
    for (uint32_t i = 0; i < count && i < sizeof own / sizeof own[0]; i++)
        for (size_t at = 0; at < own[i].bytes; at += sizeof pages * page) {
            size_t bytes = own[i].bytes - at < sizeof pages * page ? own[i].bytes - at : sizeof pages * page;
            if (syscall(SYS_mincore, (char *)own[i].start + at, bytes, pages) != 0) continue;
            for (size_t k = 0; k < (bytes + page - 1) / page; k++) resident += pages[k] & 1 ? page : 0;
        }
    return resident;
}
