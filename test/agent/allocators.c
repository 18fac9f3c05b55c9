/* Every way to ask libc for memory, with sizes that nobody else asks for, and what must hold for each whether it is watched or not. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_SIZE (SIZE_MAX / 2 - 4096)
static volatile size_t huge = HUGE_SIZE, zero = 0;

/* errno is the caller's: a request that succeeds leaves it alone, one that fails sets it. */
#define CALL(expression) (errno = 77, (expression))
static void say(const char *what, const void *p) { printf("%s %s %d\n", what, p ? "served" : "refused", errno); }

void *kept[32];

void each_function(void) {
    int n = 0;
    kept[n++] = CALL(malloc(70001)), say("malloc", kept[n - 1]);
    kept[n++] = CALL(calloc(7, 10003)), say("calloc", kept[n - 1]);
    kept[n++] = CALL(realloc(NULL, 70041)), say("realloc", kept[n - 1]);
    kept[n++] = CALL(reallocarray(NULL, 7, 10009)), say("reallocarray", kept[n - 1]);
    kept[n++] = CALL(memalign(64, 70081)), say("memalign", kept[n - 1]);
    kept[n++] = CALL(aligned_alloc(256, 70144)), say("aligned_alloc", kept[n - 1]);
    errno = 77;
    int error = posix_memalign(&kept[n++], 4096, 70161);
    say(error ? "posix_memalign error" : "posix_memalign", kept[n - 1]);
    kept[n++] = CALL(valloc(70181)), say("valloc", kept[n - 1]);
    kept[n++] = CALL(pvalloc(70201)), say("pvalloc", kept[n - 1]);
    char *text = malloc(70222);
    memset(text, 'x', 70221), text[70221] = 0;
    kept[n++] = CALL(strdup(text)), say("strdup", kept[n - 1]);
    free(text);
    printf("aligned %d %d %d %d\n", (int)((uintptr_t)kept[4] % 64), (int)((uintptr_t)kept[5] % 256), (int)((uintptr_t)kept[6] % 4096),
           (int)((uintptr_t)kept[7] % 4096));
    for (int i = 0; i < 70021; i++) if (((char *)kept[1])[i]) printf("calloc is not zero\n");
}
void free_each(void) {
    for (int i = 0; i < 32; i++) {
        errno = 77;
        free(kept[i]);
        if (errno != 77) printf("free changed errno\n");
        kept[i] = NULL;
    }
}

void refused(void) {
    void *p = (void *)1;
    say("malloc", CALL(malloc(huge)));
    say("calloc", CALL(calloc(huge, 1)));
    say("calloc overflow", CALL(calloc(huge, 16)));
    say("realloc new", CALL(realloc(NULL, huge)));
    say("reallocarray overflow", CALL(reallocarray(NULL, huge, 16)));
    say("memalign", CALL(memalign(64, huge)));
    say("aligned_alloc", CALL(aligned_alloc(64, huge)));
    say("valloc", CALL(valloc(huge)));
    say("pvalloc", CALL(pvalloc(huge)));
    say("pvalloc wraps", CALL(pvalloc(SIZE_MAX - 1)));
    errno = 77;
    int error = posix_memalign(&p, 3, 100);
    printf("posix_memalign %d, pointer %s, errno %d\n", error, p == (void *)1 ? "untouched" : "changed", errno);
    error = posix_memalign(&p, 64, huge);
    printf("posix_memalign %d, errno %d\n", error, errno);
    say("malloc max", CALL(malloc(SIZE_MAX)));
    say("malloc sign", CALL(malloc((size_t)1 << 63)));
    say("malloc 2^62", CALL(malloc((size_t)1 << 62)));
}

/* One block through all its reallocs. */
void reallocs(void) {
    char *p = realloc(NULL, 71001); /* born */
    memset(p, 'a', 71001);
    p = CALL(realloc(p, 71101)), say("grow", p);
    p = CALL(realloc(p, 300)), say("shrink", p);
    char *wall = malloc(300); /* so that growing has to move */
    char *q = CALL(realloc(p, 71201));
    say("move", q);
    printf("%s\n", q[0] == 'a' && q[299] == 'a' ? "contents kept" : "contents lost");
    say("fail", CALL(realloc(q, huge)));
    say("fail array", CALL(reallocarray(q, huge, 16)));
    printf("%c\n", q[299]);
    free(malloc(71250)); /* tells the time: q is still there */
    say("zero", CALL(realloc(q, zero))); /* glibc frees */
    free(wall);
    char *r = malloc(71301);
    r = CALL(reallocarray(r, 71, 1003)), say("array", r); /* 71213 */
    free(r);
    free(NULL);
    say("malloc 0", r = CALL(malloc(zero))), free(r);
    say("calloc 0", r = CALL(calloc(zero, 5))), free(r);
}

/* Anonymous mappings. */
void maps(void) {
    long page = sysconf(_SC_PAGESIZE);
    char *a = CALL(mmap(NULL, 40 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); /* stays, less its middle */
    say("mmap", a == MAP_FAILED ? NULL : a);
    a[0] = 1;
    char *reserved = mmap(NULL, 41 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("mmap 0", CALL(mmap(NULL, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) == MAP_FAILED ? NULL : a);
    say("mmap no file", CALL(mmap(NULL, page, PROT_READ, MAP_PRIVATE, 999, 0)) == MAP_FAILED ? NULL : a);
    int result = CALL(munmap(a + 1, page));
    printf("munmap %d %d\n", result, errno);
    result = CALL(munmap(a + 10 * page, 5 * page));
    printf("munmap middle %d %d\n", result, errno);
    char *b = mmap(NULL, 43 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    b[0] = 2;
    char *wall = mmap(b + 43 * page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("mremap in place", CALL(mremap(b, 43 * page, 430 * page, 0)) == MAP_FAILED ? NULL : a);
    b = CALL(mremap(b, 43 * page, 430 * page, MREMAP_MAYMOVE)); /* stays */
    say("mremap", b == MAP_FAILED ? NULL : b);
    printf("%d\n", b[0]);
    char *c = mmap(NULL, 44 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("munmap %d\n", munmap(c, 44 * page));
    FILE *file = tmpfile();
    ftruncate(fileno(file), 450 * page);
    char *d = mmap(NULL, 45 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    d = mremap(d, 45 * page, 450 * page, MREMAP_MAYMOVE); /* a file's mapping is none of ours, moved or not */
    say("file", d == MAP_FAILED ? NULL : d);
    (void)reserved, (void)wall;
    fflush(stdout);
}
