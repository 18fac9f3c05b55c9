/* Allocates at random and keeps its own books, in memory that no allocator of the program's gave it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PLACES 500 /* of each thread */
struct book { void *block; size_t size; };
static struct book books[64][PLACES];
static _Atomic long requests, frees;
static int all, steps;

static void enter(struct book *b, void *block, size_t size) {
    requests++;
    b->block = block, b->size = size;
}
static void strike(struct book *b) {
    free(b->block);
    frees++;
    b->block = NULL;
}

static void *step(void *argument) {
    struct book *mine = books[(intptr_t)argument];
    uint64_t random = (uintptr_t)argument * 0x9e3779b97f4a7c15u + 12345;
    for (int i = 0; i < steps; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        struct book *b = &mine[(random >> 33) % PLACES];
        size_t size = 1 + (random >> 20) % ((random >> 60) ? 900 : 40000);
        switch (random >> 48 & 7) {
        case 0: case 1:
            if (b->block) strike(b);
            enter(b, malloc(size), size);
            break;
        case 2:
            if (b->block) strike(b);
            enter(b, calloc(3, size), 3 * size);
            break;
        case 3: case 4: { /* a realloc is a death and a birth */
            if (b->block) frees++;
            void *block = realloc(b->block, size);
            enter(b, block, size);
            break;
        }
        case 5: {
            void *block = NULL;
            if (b->block) strike(b);
            if (posix_memalign(&block, 64, size) == 0) enter(b, block, size);
            break;
        }
        default:
            if (b->block) strike(b);
        }
    }
    return NULL;
}

void work(int threads, int count) {
    pthread_t thread[64];
    all = threads, steps = count;
    for (intptr_t i = 0; i < threads; i++) pthread_create(&thread[i], NULL, step, (void *)i);
    for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
}

/* Requests, frees, then a line for each block that is alive. */
void tell(void) {
    static char buffer[1 << 16];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer); /* stdio asks for no memory of its own */
    printf("%ld\n%ld\n", requests, frees);
    for (int t = 0; t < all; t++)
        for (int i = 0; i < PLACES; i++)
            if (books[t][i].block) printf("%lu %lu\n", (unsigned long)books[t][i].block, (unsigned long)books[t][i].size);
    fflush(stdout);
}
