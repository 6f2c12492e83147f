#include "dist/comm_timing.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include <stdlib.h>

enum {
    TAG = 77,
    SMALL_BYTES = 1 << 16,
    CALLS_OF_SMALL = 20 /* in one repeat, so that the barrier before it does not show */
};

static const char *const NAMES[BW_COMM_OPERATIONS] = { "sum of f64", "sum of f32 beside", "gather", "send" };

const char *bw__comm_operation_name(bw_comm_operation operation)
{
    return NAMES[operation];
}

double bw__comm_least_sent(bw_comm_operation operation, int64_t bytes, int ranks)
{
    double n = (double)bytes;
    switch (operation) {
    case BW_COMM_TIME_GATHER:
        return n * (ranks - 1);
    case BW_COMM_TIME_SEND:
        return n;
    default:
        return 2.0 * n * (ranks - 1) / ranks;
    }
}

/* What is measured, and its memory. */
typedef struct subject {
    bw_comm *comm;
    bw_comm_operation operation;
    size_t bytes;
    char *own, *all; /* zeros, so that sums of sums stay what they are */
    bw_comm_work work;
} subject;

static bw_status there_and_back(const subject *s)
{
    bw_status st = BW_OK;
    int last = bw_comm_size(s->comm) - 1;
    if (bw_comm_rank(s->comm) == 0) {
        BW_TRY(bw__comm_send(s->comm, s->own, s->bytes, last, TAG));
        BW_TRY(bw__comm_receive(s->comm, s->own, s->bytes, last, TAG));
    } else if (bw_comm_rank(s->comm) == last) {
        BW_TRY(bw__comm_receive(s->comm, s->own, s->bytes, 0, TAG));
        BW_TRY(bw__comm_send(s->comm, s->own, s->bytes, 0, TAG));
    }
out:
    return st;
}

static bw_status call(subject *s)
{
    bw_status st;
    switch (s->operation) {
    case BW_COMM_TIME_SUM_F64:
        return bw__comm_sum_f64(s->comm, (double *)(void *)s->own, (int64_t)(s->bytes / sizeof(double)));
    case BW_COMM_TIME_SUM_F32:
        st = bw__comm_begin_sum_f32(&s->work, s->comm, (float *)(void *)s->own,
                                    (int64_t)(s->bytes / sizeof(float)));
        return st == BW_OK ? bw__comm_finish(&s->work) : st;
    case BW_COMM_TIME_GATHER:
        return bw__comm_gather(s->comm, s->all, s->own, s->bytes);
    default:
        return there_and_back(s);
    }
}

/* Seconds of one call, the same on every rank: of the rank that takes longest. */
static bw_status time_calls(double *out, subject *s)
{
    bw_status st = BW_OK;
    int calls = s->bytes <= SMALL_BYTES ? CALLS_OF_SMALL : 1;
    BW_TRY(bw__comm_barrier(s->comm));
    double begin = bw__now_s();
    for (int i = 0; i < calls; i++)
        BW_TRY(call(s));
    int64_t ns = (int64_t)((bw__now_s() - begin) * 1e9);
    BW_TRY(bw__comm_max_i64(s->comm, &ns, 1));
    *out = (double)ns * 1e-9 / calls / (s->operation == BW_COMM_TIME_SEND ? 2 : 1);
out:
    return st;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bw_status bw__comm_time(bw_comm_timing *out, bw_comm *comm, bw_comm_operation operation, int64_t bytes,
                        int repeats)
{
    bw_status st = BW_OK;
    int ranks = bw_comm_size(comm);
    subject s = { .comm = comm, .operation = operation, .bytes = (size_t)bytes };
    double *seconds = NULL, warmup;
    *out = (bw_comm_timing){ .operation = operation, .bytes = bytes, .repeats = repeats };
    if (ranks < 2) return bw_fail(BW_EINVAL, "one rank has none to talk to");
    BW_TRY(BW_ALLOC(&seconds, repeats));
    BW_TRY(BW_ALLOC(&s.own, bytes));
    if (operation == BW_COMM_TIME_GATHER) BW_TRY(BW_ALLOC(&s.all, bytes * ranks));
    BW_TRY(time_calls(&warmup, &s));
    for (int i = 0; i < repeats; i++)
        BW_TRY(time_calls(&seconds[i], &s));
    qsort(seconds, (size_t)repeats, sizeof *seconds, compare);
    out->seconds = 0.5 * (seconds[(repeats - 1) / 2] + seconds[repeats / 2]);
    out->bytes_on_wire = bw__comm_least_sent(operation, bytes, ranks);
out:
    st = bw__comm_agree(comm, st);
    bw__comm_work_free(&s.work);
    bw__free(s.own);
    bw__free(s.all);
    bw__free(seconds);
    return st;
}
