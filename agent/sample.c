/* Which blocks are recorded: Poisson sampling by bytes, and the budget that sets the interval in adaptive mode.
 * The gap to the next recorded byte is exponential with mean T; a block of n bytes is recorded when floor(gap) < n, which has probability
 * 1 - exp(-n/T) exactly, and a fresh gap is drawn after a hit (memoryless), so each block is an independent draw (docs/format.md, Estimates). */
#include "agent.h"
#include "event.h"
#include <time.h>

_Atomic uint64_t g_interval; /* T of the process now; 0: every block */
static _Atomic uint64_t spent_ns, spent_before_main, last_cpu_ns, start_cpu_ns;
static _Atomic bool main_began;

/* Everything that the program's own code does is recorded at first, up to this much work: short programs, and the first turns of long ones, are exact. */
#define BURST_NS 1000000u
#define MAX_INTERVAL ((uint64_t)4 << 20)
#define MIN_INTERVAL 256u
/* The interpreter's own start is sampled: it is 20,000 to 80,000 blocks that nobody asked about, and nearly all of their stacks are new. Small enough to
 * notice soon where the program's own code begins. */
#define START_INTERVAL 16384u

/* -ln(u) for u uniform in (0, 1]; relative error below 1e-8. No libm in the agent. */
static double minus_log(uint64_t bits) {
    bits |= 1; /* never 0 */
    int zeros = __builtin_clzll(bits);
    double x = 1.0 + (double)((bits << zeros) & 0x7fffffffffffffff) * 0x1p-63; /* [1, 2) */
    double t = (x - 1.0) / (x + 1.0), t2 = t * t;
    double ln = 2.0 * t * (1.0 + t2 * (1.0 / 3 + t2 * (1.0 / 5 + t2 * (1.0 / 7 + t2 * (1.0 / 9 + t2 * (1.0 / 11 + t2 * (1.0 / 13 + t2 / 15)))))));
    return (double)(zeros + 1) * 0.69314718055994530942 - ln;
}

static uint64_t next_random(struct thread *t) { /* xorshift64*: Vigna, doi:10.1145/2845077 */
    uint64_t x = t->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    t->random = x;
    return x * 0x2545f4914f6cdd1du;
}

int64_t sample_gap(struct thread *t) {
    uint64_t interval = atomic_load_explicit(&g_interval, memory_order_relaxed);
    if (UNLIKELY(interval != t->interval)) {
        t->interval = interval;
        if (t->chunk && out_ready(t)) record_control(t, CONTROL_INTERVAL, interval);
    }
    return interval ? (int64_t)(minus_log(next_random(t)) * (double)interval) : -1;
}

void sample_start(void) {
    atomic_store(&start_cpu_ns, sys_clock(CLOCK_PROCESS_CPUTIME_ID));
    atomic_store(&last_cpu_ns, start_cpu_ns);
    atomic_store(&spent_ns, 0);
    atomic_store(&g_interval, g_settings.mode == MODE_INTERVAL ? g_settings.interval : g_settings.mode == MODE_ADAPTIVE ? START_INTERVAL : 0);
}

uint64_t sample_spent(void) { return atomic_load(&spent_ns) + atomic_load(&spent_before_main); }

void sample_main_began(void) {
    if (g_settings.mode != MODE_ADAPTIVE || atomic_exchange(&main_began, true)) return;
    atomic_store(&spent_before_main, atomic_exchange(&spent_ns, 0));
    atomic_store(&start_cpu_ns, sys_clock(CLOCK_PROCESS_CPUTIME_ID));
    atomic_store(&g_interval, 0);
}

/* Steers T so that the estimated cost of recording follows the allowed share of the process's CPU time. The estimate counts work (events, nodes,
 * frames) at fixed prices: reading a clock around each event would cost as much as the event. Deaths of blocks born under a smaller T are paid for but do not
 * raise T, which could not prevent them. */
void sample_settle(struct thread *t) {
    uint64_t births = t->debt, debt = births + t->death_debt;
    t->debt = t->death_debt = t->births = 0;
    uint64_t spent = atomic_fetch_add(&spent_ns, debt) + debt;
    if (g_settings.mode != MODE_ADAPTIVE || !atomic_load_explicit(&main_began, memory_order_relaxed)) return;
    uint64_t interval = atomic_load(&g_interval);
    if (!interval && spent < BURST_NS) return; /* the cheap way through the start */
    uint64_t cpu = sys_clock(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t before = atomic_exchange(&last_cpu_ns, cpu);
    uint64_t elapsed = cpu > before ? cpu - before : 1;
    double share = (double)g_settings.overhead_ppm / 1e6;
    double allowed = (double)BURST_NS + share * (double)(cpu - atomic_load(&start_cpu_ns));
    double rate = (double)births / (double)elapsed / share; /* 1: just what is allowed */
    uint64_t next = interval;
    if ((double)spent > allowed) {
        if (!interval) next = 1024;
        else if (rate > 0.9) next = interval * 2;
    } else if (interval && rate < 0.7) next = interval / 2 < MIN_INTERVAL ? 0 : interval / 2;
    if (next > MAX_INTERVAL) next = MAX_INTERVAL;
    if (next == interval) return;
    atomic_store(&g_interval, next);
    struct header *h = out_header();
    if (h) atomic_fetch_add_explicit(&h->interval_changes, 1, memory_order_relaxed);
}
