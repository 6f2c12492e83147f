/* A layer on ranks that share a batch against the same layer that has all of it: every rank does both, the
 * second without a communicator, and compares its own images. */
#ifndef BW_TESTS_NN_OVER_RANKS_H
#define BW_TESTS_NN_OVER_RANKS_H
#include "nn/loops.h"
#include "nn/plain.h"
#include "on_ranks.h"
#include <string.h>

/* Images of one view on all ranks together: each has the same number of them on 2 and on 4 ranks. */
enum { IMAGES = 12, VIEWS = 2 };

static inline bw_exec exec_over(bw_comm *comm)
{
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)32 << 20));
    x.comm = comm;
    return x;
}

static inline int64_t images_of(const bw_comm *comm)
{
    return IMAGES / bw_comm_size(comm);
}

/* This rank's images of `whole` [VIEWS, IMAGES, size] as [VIEWS, images, size]; comm NULL: all of them. */
static inline void deal(bw_comm *comm, float *own, const float *whole, int64_t size)
{
    int64_t n = images_of(comm);
    for (int v = 0; v < VIEWS; v++)
        memcpy(own + v * n * size, whole + (v * IMAGES + bw_comm_rank(comm) * n) * size,
               (size_t)(n * size) * sizeof *own);
}

/* Values of `type` in the place of those of f32, and back. */
static inline void round_to(bw_type type, void *typed, const float *values, int64_t n)
{
    bw__loops()->from_f32(type, typed, values, n);
}

/* Fails with the relative error where that is over `bound`: of the worst value, and of the norm. The second
 * is for cases in which rounding turns the sign of a few values before a ReLU. */
static inline void close_to(const char *what, const float *got, const float *want, int64_t n, double bound)
{
    double far = ranks_difference(got, want, n);
    if (!(far <= bound)) fail_msg("%s: relative error %.3g over %.3g", what, far, bound);
}

static inline void close_in_norm(const char *what, const float *got, const float *want, int64_t n,
                                 double bound)
{
    double difference = 0.0, norm = 0.0;
    for (int64_t i = 0; i < n; i++) {
        difference += pow((double)got[i] - (double)want[i], 2);
        norm += pow((double)want[i], 2);
    }
    if (!(sqrt(difference / norm) <= bound))
        fail_msg("%s: relative error of the norm %.3g over %.3g", what, sqrt(difference / norm), bound);
}

/* Sums over ranks have the same bits on all of them. */
static inline void same_on_all(const float *values, int64_t n)
{
    float *first = test_malloc((size_t)n * sizeof *first);
    memcpy(first, values, (size_t)n * sizeof *first);
    CHECK_OK(bw__comm_broadcast(ranks, first, (size_t)n * sizeof *first, 0));
    assert_memory_equal(first, values, (size_t)n * sizeof *first);
    test_free(first);
}
#endif
