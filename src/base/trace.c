#include "base/trace.h"
#include "base/memory.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows but `on` */
static bw_span *spans;
static int count, room, lost_count;
static atomic_bool on;

const char *bw__track_name(bw_track track)
{
    static const char *const NAMES[BW_TRACKS] = { "blocks", "operations", "sums of gradients",
                                                  "activations sent", "activations received" };
    return NAMES[track];
}

bw_status bw__trace_start(int most)
{
    bw_span *made = NULL;
    bw__trace_clear();
    bw_status st = BW_ALLOC(&made, most);
    if (st != BW_OK) return st;
    pthread_mutex_lock(&lock);
    spans = made;
    room = most;
    pthread_mutex_unlock(&lock);
    atomic_store(&on, true);
    return BW_OK;
}

void bw__trace_stop(void)
{
    atomic_store(&on, false);
}

bool bw__trace_is_on(void)
{
    return atomic_load_explicit(&on, memory_order_relaxed);
}

void bw__trace_add(bw_track track, const char *name, const char *detail, int block, double begin_s,
                   double end_s)
{
    if (!bw__trace_is_on()) return;
    pthread_mutex_lock(&lock);
    if (count < room) {
        bw_span *s = &spans[count++];
        *s = (bw_span){ .begin_s = begin_s, .end_s = end_s, .track = (int)track, .block = block };
        (void)snprintf(s->name, sizeof s->name, "%s%s%s", name, detail && *detail ? ", " : "",
                       detail ? detail : "");
    } else {
        lost_count++;
    }
    pthread_mutex_unlock(&lock);
}

int bw__trace_spans(const bw_span **out, int *lost)
{
    pthread_mutex_lock(&lock); /* a thread may be adding its last one */
    *out = spans;
    *lost = lost_count;
    const int n = count;
    pthread_mutex_unlock(&lock);
    return n;
}

void bw__trace_clear(void)
{
    bw__trace_stop();
    pthread_mutex_lock(&lock);
    bw__free(spans);
    spans = NULL;
    count = room = lost_count = 0;
    pthread_mutex_unlock(&lock);
}
