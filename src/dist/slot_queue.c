#include "dist/slot_queue.h"
#include "base/memory.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct bw_slot_queue {
    int depth;
    size_t bytes;
    char *slots;          /* [depth, bytes] */
    int first, last;      /* consumer's and producer's: the slot each of them is at */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool synced; /* lock and condition exist */
    int count;   /* filled */
    bool ended, closed;
    bw_status why;
    char message[512];
};

static bw_status sync_create(bw_slot_queue *q)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return bw_fail(BW_ENOMEM, "cannot create a queue's condition");
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    bool made = pthread_cond_init(&q->changed, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    if (made && pthread_mutex_init(&q->lock, NULL) != 0) {
        (void)pthread_cond_destroy(&q->changed);
        made = false;
    }
    q->synced = made;
    return made ? BW_OK : bw_fail(BW_ENOMEM, "cannot create a queue's lock");
}

bw_status bw__slot_queue_create(bw_slot_queue **out, int depth, size_t bytes)
{
    bw_status st = BW_OK;
    bw_slot_queue *q = NULL;
    *out = NULL;
    BW_ASSERT(depth >= 1 && bytes >= 1);
    BW_TRY(BW_ALLOC(&q, 1));
    q->depth = depth;
    q->bytes = bw__round_up(bytes);
    BW_TRY(bw__alloc_array((void **)&q->slots, depth, q->bytes));
    BW_TRY(sync_create(q));
    *out = q;
    q = NULL;
out:
    bw__slot_queue_free(q);
    return st;
}

void bw__slot_queue_free(bw_slot_queue *q)
{
    if (!q) return;
    if (q->synced) {
        (void)pthread_cond_destroy(&q->changed);
        (void)pthread_mutex_destroy(&q->lock);
    }
    bw__free(q->slots);
    bw__free(q);
}

static struct timespec moment_in(double seconds)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    double whole = floor(seconds);
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((seconds - whole) * 1e9);
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

static bool has_room(const bw_slot_queue *q)
{
    return q->count < q->depth;
}

static bool has_filled(const bw_slot_queue *q)
{
    return q->count > 0;
}

/* Until `there`, with the lock held. An ended queue gets nothing more, so neither side waits for it. */
static bool wait_until(bw_slot_queue *q, bool (*there)(const bw_slot_queue *), double wait_s)
{
    const struct timespec until = moment_in(wait_s > 0.0 ? wait_s : 0.0);
    bool late = wait_s >= 0.0 && !(wait_s > 0.0);
    while (!there(q) && !q->closed && !q->ended && !late) {
        if (wait_s < 0.0)
            (void)pthread_cond_wait(&q->changed, &q->lock);
        else
            late = pthread_cond_timedwait(&q->changed, &q->lock, &until) != 0;
    }
    return there(q) && !q->closed;
}

void *bw__slot_queue_room(bw_slot_queue *q, double wait_s)
{
    pthread_mutex_lock(&q->lock);
    bool there = wait_until(q, has_room, wait_s) && !q->ended;
    pthread_mutex_unlock(&q->lock);
    return there ? q->slots + (size_t)q->last * q->bytes : NULL;
}

void *bw__slot_queue_next(bw_slot_queue *q, double wait_s)
{
    pthread_mutex_lock(&q->lock);
    bool there = wait_until(q, has_filled, wait_s);
    pthread_mutex_unlock(&q->lock);
    return there ? q->slots + (size_t)q->first * q->bytes : NULL;
}

/* Producer and consumer move their own ends; the count hands a slot over from one to the other. */
static void hand_over(bw_slot_queue *q, int more)
{
    pthread_mutex_lock(&q->lock);
    q->count += more;
    BW_ASSERT(q->count >= 0 && q->count <= q->depth);
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void bw__slot_queue_push(bw_slot_queue *q)
{
    q->last = (q->last + 1) % q->depth;
    hand_over(q, 1);
}

void bw__slot_queue_pop(bw_slot_queue *q)
{
    q->first = (q->first + 1) % q->depth;
    hand_over(q, -1);
}

void bw__slot_queue_end(bw_slot_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->ended = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void bw__slot_queue_close(bw_slot_queue *q, bw_status why, const char *message)
{
    pthread_mutex_lock(&q->lock);
    if (!q->closed) {
        q->closed = true;
        q->why = why;
        (void)snprintf(q->message, sizeof q->message, "%s", message ? message : "");
    }
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

bool bw__slot_queue_has_ended(bw_slot_queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool ended = q->ended;
    pthread_mutex_unlock(&q->lock);
    return ended;
}

bool bw__slot_queue_is_closed(bw_slot_queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}

bw_status bw__slot_queue_reason(bw_slot_queue *q)
{
    char message[sizeof q->message];
    pthread_mutex_lock(&q->lock);
    bw_status why = q->why;
    (void)snprintf(message, sizeof message, "%s", q->message);
    pthread_mutex_unlock(&q->lock);
    return why == BW_OK ? BW_OK : bw_fail(why, "%s", message);
}

int bw__slot_queue_count(bw_slot_queue *q)
{
    pthread_mutex_lock(&q->lock);
    int count = q->count;
    pthread_mutex_unlock(&q->lock);
    return count;
}
