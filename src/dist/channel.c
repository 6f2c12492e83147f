#include "dist/channel.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/trace.h"
#include "dist/comm_internal.h"
#include "dist/post.h"
#include "dist/slot_queue.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* Messages of the sender and of the receiver (its goodbye) have tags of their own, away from those of
 * bw__comm_send(). A goodbye is shorter than any message. */
enum { FIRST_TAG = 10000, GOODBYE_BYTES = sizeof(int32_t) };

static const double IDLE_S = 5e-3; /* between two looks for the other end's goodbye */
static const double FIRST_NAP_S = 5e-5, LONGEST_NAP_S = 1e-3, LONGEST_NAP_UNDER_WAY_S = 2e-4;
/* How long a closed end waits without any progress: for a receiver that has not yet taken what was sent, and
 * for the answer to a goodbye, which the other end's thread gives at once. */
static const double PATIENCE_S = 60.0, PATIENCE_ON_FAILURE_S = 3.0;

struct bw_channel {
    bw_comm *comm;
    int rank; /* the other one */
    bool sends;
    size_t bytes;
    bw_slot_queue *queue;
    bw_post *data, *back; /* messages and the sender's goodbye; the receiver's */
    pthread_t thread;
    bool started;
    double waited_s; /* of the message that is asked for */

    pthread_mutex_t lock; /* guards what follows */
    bool synced;
    bool closed;
    int32_t why;
    double closed_s;

    /* The thread's; the rank reads them when the queue has ended or it has joined the thread. */
    int32_t goodbye, answer; /* of the other end; of this one */
    bool left;               /* the other end has said goodbye */
    bool abandoned;          /* a message may be under way for ever: its memory must stay */
    double progress_s;       /* when something last moved */
    double begun_s;          /* when the first piece of a message came */
};

static bool is_closed(bw_channel *c, bool *failed)
{
    pthread_mutex_lock(&c->lock);
    bool closed = c->closed;
    if (failed) *failed = closed && c->why != BW_OK;
    pthread_mutex_unlock(&c->lock);
    return closed;
}

/* --- the threads --- */

static void nap(double *seconds, double longest)
{
    const struct timespec t = { .tv_nsec = (long)(*seconds * 1e9) };
    (void)nanosleep(&t, NULL);
    *seconds = 2.0 * *seconds < longest ? 2.0 * *seconds : longest;
}

/* An end that is open is never late. */
static bool is_late(bw_channel *c)
{
    pthread_mutex_lock(&c->lock);
    bool closed = c->closed;
    double since_s = c->closed_s > c->progress_s ? c->closed_s : c->progress_s;
    double patience_s = c->why == BW_OK ? PATIENCE_S : PATIENCE_ON_FAILURE_S;
    pthread_mutex_unlock(&c->lock);
    return closed && bw__now_s() - since_s > patience_s;
}

/* Until the post is done. BW_EINTERRUPTED: given up. */
static bw_status finish(bw_channel *c, bw_post *post)
{
    bool done = false;
    for (double pause = FIRST_NAP_S;;) {
        bw_status st = bw__post_test(post, &done);
        if (st != BW_OK) return st;
        if (done) break;
        if (is_late(c)) return BW_EINTERRUPTED;
        nap(&pause, LONGEST_NAP_UNDER_WAY_S);
    }
    c->progress_s = bw__now_s();
    return BW_OK;
}

static bw_status send_bytes(bw_channel *c, bw_post *post, const void *bytes, size_t n)
{
    bw_status st = bw__post_send(post, bytes, n);
    return st == BW_OK ? finish(c, post) : st;
}

static bw_status receive_bytes(bw_channel *c, bw_post *post, void *bytes, size_t n)
{
    bw_status st = bw__post_receive(post, bytes, n);
    return st == BW_OK ? finish(c, post) : st;
}

/* What the other end says is kept for the rank before its queue is closed or ended. */
static bw_status take_goodbye(bw_channel *c, bw_post *post)
{
    bw_status st = receive_bytes(c, post, &c->goodbye, GOODBYE_BYTES);
    if (st != BW_OK) return st;
    c->left = true;
    if (c->sends)
        bw__slot_queue_close(c->queue, BW_EREMOTE, NULL);
    else
        bw__slot_queue_end(c->queue);
    return BW_OK;
}

static bw_status say_goodbye(bw_channel *c, bw_post *post)
{
    pthread_mutex_lock(&c->lock);
    c->answer = c->why;
    pthread_mutex_unlock(&c->lock);
    return send_bytes(c, post, &c->answer, GOODBYE_BYTES);
}

static bw_status look_for_goodbye(bw_channel *c)
{
    int64_t there = -1;
    bw_status st = bw__post_look(c->back, &there);
    return st == BW_OK && there >= 0 ? take_goodbye(c, c->back) : st;
}

/* In pieces; between them an end that has failed stops. */
static bw_status send_message(bw_channel *c, const char *message)
{
    bw_status st = BW_OK;
    bool failed = false;
    const double begin_s = bw__now_s();
    for (size_t at = 0; at < c->bytes && st == BW_OK && !failed; at += BW_POST_MOST) {
        size_t left = c->bytes - at;
        st = send_bytes(c, c->data, message + at, left < BW_POST_MOST ? left : BW_POST_MOST);
        (void)is_closed(c, &failed);
    }
    bw__trace_add(BW_TRACK_SENT, "activations", NULL, -1, begin_s, bw__now_s());
    return st;
}

static bw_status send_all(bw_channel *c)
{
    bw_status st = BW_OK;
    while (!c->left) {
        const char *message = bw__slot_queue_next(c->queue, IDLE_S);
        if (message) {
            BW_TRY(send_message(c, message));
            bw__slot_queue_pop(c->queue);
        } else if (is_closed(c, NULL)) {
            break;
        }
        BW_TRY(look_for_goodbye(c));
    }
    BW_TRY(say_goodbye(c, c->data));
    for (double pause = FIRST_NAP_S; !c->left; nap(&pause, LONGEST_NAP_S)) {
        BW_TRY(look_for_goodbye(c));
        if (!c->left && is_late(c)) st = BW_EINTERRUPTED;
        if (st != BW_OK) goto out;
    }
out:
    return st;
}

/* Waits for the next piece of a message and takes it in; or for the goodbye. False: closed meanwhile. */
static bw_status receive_piece(bw_channel *c, char *piece, size_t n, bool *taken)
{
    int64_t there = -1;
    *taken = false;
    for (double pause = FIRST_NAP_S;; nap(&pause, LONGEST_NAP_S)) {
        bw_status st = bw__post_look(c->data, &there);
        if (st != BW_OK) return st;
        if (there == GOODBYE_BYTES) return take_goodbye(c, c->data);
        if (there >= 0) break;
        if (is_closed(c, NULL)) return BW_OK;
    }
    if ((size_t)there != n)
        return bw_fail(BW_EREMOTE, "rank %d: a message of %lld bytes from rank %d, where %zu were expected",
                       c->comm->rank, (long long)there, c->rank, n);
    *taken = true;
    if (c->begun_s == 0.0) c->begun_s = bw__now_s();
    return receive_bytes(c, c->data, piece, n);
}

static bw_status receive_message(bw_channel *c, char *slot)
{
    bw_status st = BW_OK;
    bool taken = true;
    c->begun_s = 0.0;
    for (size_t at = 0; at < c->bytes && st == BW_OK && taken; at += BW_POST_MOST) {
        size_t left = c->bytes - at;
        st = receive_piece(c, slot + at, left < BW_POST_MOST ? left : BW_POST_MOST, &taken);
    }
    if (st == BW_OK && taken) {
        bw__trace_add(BW_TRACK_RECEIVED, "activations", NULL, -1, c->begun_s, bw__now_s());
        bw__slot_queue_push(c->queue);
    }
    return st;
}

/* Takes in and forgets what is still under way to an end that is closed, until the goodbye. */
static bw_status drain(bw_channel *c)
{
    bw_status st = BW_OK;
    char *scrap = NULL;
    int64_t there = -1;
    BW_TRY(bw__alloc_untouched((void **)&scrap, c->bytes < BW_POST_MOST ? c->bytes : BW_POST_MOST));
    for (double pause = FIRST_NAP_S; !c->left;) {
        BW_TRY(bw__post_look(c->data, &there));
        if (there == GOODBYE_BYTES) {
            BW_TRY(take_goodbye(c, c->data));
        } else if (there >= 0) {
            BW_TRY(receive_bytes(c, c->data, scrap, (size_t)there));
        } else if (is_late(c)) {
            st = BW_EINTERRUPTED;
            goto out;
        } else {
            nap(&pause, LONGEST_NAP_S);
        }
    }
    bw__free(scrap);
    return BW_OK;
out:
    return st; /* the memory stays: something may still be written there */
}

static bw_status receive_all(bw_channel *c)
{
    bw_status st = BW_OK;
    while (!c->left && !is_closed(c, NULL)) {
        char *slot = bw__slot_queue_room(c->queue, IDLE_S);
        if (slot) BW_TRY(receive_message(c, slot));
    }
    BW_TRY(say_goodbye(c, c->back));
    if (!c->left) BW_TRY(drain(c));
out:
    return st;
}

static void *run(void *user)
{
    bw_channel *c = user;
    bw_status st = c->sends ? send_all(c) : receive_all(c);
    if (st == BW_OK) return NULL;
    c->abandoned = true;
    if (st != BW_EINTERRUPTED) bw__slot_queue_close(c->queue, st, bw_last_error());
    return NULL;
}

/* --- the ranks --- */

/* Signals are the main thread's. */
static bw_status start(bw_channel *c)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&c->thread, NULL, run, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->started = error == 0;
    return c->started ? BW_OK : bw_fail(BW_ENOMEM, "cannot start a thread for messages: %s", strerror(error));
}

static bw_status open(bw_channel **out, bw_comm *comm, int rank, int tag, int depth, size_t bytes, bool sends)
{
    bw_status st = BW_OK;
    bw_channel *c = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&c, 1));
    c->comm = comm;
    c->rank = rank;
    c->sends = sends;
    c->bytes = bw__round_up(bytes);
    c->synced = pthread_mutex_init(&c->lock, NULL) == 0;
    if (!c->synced) BW_TRY(bw_fail(BW_ENOMEM, "cannot create the lock of a channel"));
    BW_TRY(bw__slot_queue_create(&c->queue, depth, c->bytes));
    BW_TRY(bw__post_create(&c->data, comm, rank, FIRST_TAG + 2 * tag));
    BW_TRY(bw__post_create(&c->back, comm, rank, FIRST_TAG + 2 * tag + 1));
    BW_TRY(start(c));
    *out = c;
    c = NULL;
out:
    bw__channel_free(c);
    return st;
}

bw_status bw__channel_open_to(bw_channel **out, bw_comm *comm, int rank, int tag, int depth, size_t bytes)
{
    return open(out, comm, rank, tag, depth, bytes, true);
}

bw_status bw__channel_open_from(bw_channel **out, bw_comm *comm, int rank, int tag, int depth, size_t bytes)
{
    return open(out, comm, rank, tag, depth, bytes, false);
}

/* Why there is nothing: MPI failed, or the other end has left. */
static bw_status reason(bw_channel *c)
{
    bw_status why = bw__slot_queue_has_ended(c->queue) ? BW_OK : bw__slot_queue_reason(c->queue);
    if (why != BW_OK && bw_last_error()[0] != '\0') return why;
    if (c->goodbye == BW_OK) return bw_fail(BW_EREMOTE, "rank %d has ended", c->rank);
    c->comm->world->remote = (bw_status)c->goodbye;
    return bw_fail(BW_EREMOTE, "rank %d failed: %s", c->rank, bw_status_text((bw_status)c->goodbye));
}

bw_status bw__channel_room(bw_channel *c, void **slot)
{
    double begin = bw__now_s();
    *slot = bw__slot_queue_room(c->queue, BW_FOR_EVER);
    c->waited_s = bw__now_s() - begin;
    return *slot ? BW_OK : reason(c);
}

void bw__channel_put(bw_channel *c)
{
    bw__comm_add_count(BW_COMM_SEND, (int64_t)c->bytes, c->waited_s);
    bw__slot_queue_push(c->queue);
}

bw_status bw__channel_get(bw_channel *c, const void **message, bool wait)
{
    double begin = bw__now_s();
    *message = bw__slot_queue_next(c->queue, wait ? BW_FOR_EVER : 0.0);
    c->waited_s += bw__now_s() - begin;
    if (*message) return BW_OK;
    bool over = bw__slot_queue_has_ended(c->queue) || bw__slot_queue_is_closed(c->queue);
    if (over) *message = bw__slot_queue_next(c->queue, 0.0); /* it may have come between the two questions */
    return over && !*message ? reason(c) : BW_OK;
}

void bw__channel_release(bw_channel *c)
{
    bw__comm_add_count(BW_COMM_RECEIVE, (int64_t)c->bytes, c->waited_s);
    c->waited_s = 0.0;
    bw__slot_queue_pop(c->queue);
}

void bw__channel_close(bw_channel *c, bw_status why)
{
    if (!c || !c->started) return;
    pthread_mutex_lock(&c->lock);
    bool first = !c->closed;
    c->closed = true;
    if (first) {
        c->why = (int32_t)why;
        c->closed_s = bw__now_s();
    }
    pthread_mutex_unlock(&c->lock);
    if (c->sends && why == BW_OK)
        bw__slot_queue_end(c->queue);
    else
        bw__slot_queue_close(c->queue, BW_EREMOTE, NULL);
}

void bw__channel_free(bw_channel *c)
{
    if (!c) return;
    bw__channel_close(c, BW_OK);
    if (c->started) (void)pthread_join(c->thread, NULL);
    if (c->abandoned) return;
    if (c->synced) (void)pthread_mutex_destroy(&c->lock);
    bw__post_free(c->data);
    bw__post_free(c->back);
    bw__slot_queue_free(c->queue);
    bw__free(c);
}
