/* Threads that know nothing of Python. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* Blocks go from hand to hand without a lock: whoever takes one out of a place frees it. */
static _Atomic(char *) places[64];
static void *pass(void *argument) {
    uint64_t random = (uintptr_t)argument * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        char *mine = malloc(16 + (random >> 40) % 900);
        if (i % 3 == 0) mine = realloc(mine, 16 + (random >> 30) % 2000);
        free(atomic_exchange(&places[random >> 58], mine));
    }
    return NULL;
}
void pass_around(int threads) {
    pthread_t all[64];
    for (intptr_t i = 0; i < threads; i++) pthread_create(&all[i], NULL, pass, (void *)(i + 1));
    for (int i = 0; i < threads; i++) pthread_join(all[i], NULL);
    for (int i = 0; i < 64; i++) free(atomic_exchange(&places[i], NULL));
}

static void *briefly(void *argument) {
    (void)argument;
    free(malloc(90001));
    return malloc(90002);
}
void short_threads(int count) {
    for (int i = 0; i < count; i++) {
        pthread_t one;
        void *block;
        pthread_create(&one, NULL, briefly, NULL);
        pthread_join(one, &block);
        free(block);
    }
}

/* A thread's last words: destructors that free, ask again and free again, after the agent's own may have run. */
static pthread_key_t key;
static void last_words(void *value) {
    static _Thread_local int rounds;
    free(value);
    if (++rounds < 4) pthread_setspecific(key, malloc(90003));
}
static void *with_key(void *argument) {
    pthread_setspecific(key, malloc(90003));
    return argument;
}
void key_destructors(int count) {
    pthread_key_create(&key, last_words);
    for (int i = 0; i < count; i++) {
        pthread_t one;
        pthread_create(&one, NULL, with_key, NULL);
        pthread_join(one, NULL);
    }
}

/* A C handler that interrupts anything, the allocator and the agent included. It may not allocate: it only counts. */
static volatile sig_atomic_t ticks;
static void tick(int number) { (void)number, ticks++; }
void timer(int microseconds) {
    struct sigaction action = { .sa_handler = tick, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = { { 0, microseconds }, { 0, microseconds } };
    setitimer(ITIMER_REAL, &every, NULL);
}
int ticked(void) { return ticks; }
