/* A loss on made-up embeddings, for tests. */
#ifndef BW_TESTS_LOSS_CASE_H
#define BW_TESTS_LOSS_CASE_H
#include "parity.h"
#include "loss/loss.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 16 }; /* floats behind diff_z that must stay as they are */

static const bw_loss_name every_loss[] = { BW_LOSS_BARLOW_TWINS, BW_LOSS_VICREG, BW_LOSS_SIMCLR,
                                           BW_LOSS_CROSS_ENTROPY };
enum { EVERY_LOSS = sizeof every_loss / sizeof *every_loss };

/* Weights and factors of which no two are equal. */
static inline bw_loss_config loss_config(bw_loss_name name)
{
    return (bw_loss_config){ .name = name,
                             .scale = 0.7,
                             .lambda = 0.13,
                             .invariance = 25.0,
                             .variance = 20.0,
                             .covariance = 1.5,
                             .temperature = 0.3 };
}

typedef struct loss_case {
    int64_t n, d, count; /* count: 2 n d */
    float *z, *diff;     /* [2, n, d] */
    int *labels;         /* [n] */
    bw_comm *comm;       /* of whose batch this is one rank's part; NULL: it is all of it */
    bw_loss_value value;
} loss_case;

/* Two views that have to do with each other. Columns have standard deviations on both sides of 1, none near
 * it, and means that are not 0. tests/fixtures/generate_losses.py makes the same numbers. */
static inline loss_case make_case(int64_t n, int64_t d)
{
    loss_case c = { .n = n, .d = d, .count = 2 * n * d };
    c.z = malloc((size_t)c.count * sizeof *c.z);
    c.diff = malloc((size_t)(c.count + GUARD) * sizeof *c.diff);
    c.labels = malloc((size_t)n * sizeof *c.labels);
    assert_true(c.z && c.diff && c.labels);
    parity_formula(c.z, n * d, "losses.a", 0.4, 1.5);
    parity_formula(c.z + n * d, n * d, "losses.b", 0.0, 1.0);
    for (int64_t i = 0; i < n * d; i++)
        c.z[n * d + i] = (float)(0.5 * (double)c.z[i] + (double)c.z[n * d + i]);
    for (int64_t i = 0; i < c.count; i++)
        if (i % d % 2 == 0) c.z[i] = (float)(3.0 * (double)c.z[i]);
    for (int64_t i = 0; i < n; i++)
        c.labels[i] = (int)((3 * i + 1) % d);
    return c;
}

static inline void drop_case(loss_case *c)
{
    free(c->z);
    free(c->diff);
    free(c->labels);
}

/* Value and gradient of the case; what create or run answered. */
static inline bw_status try_loss(loss_case *c, const bw_loss_config *config, int threads)
{
    bw_exec x;
    bw_loss *loss = NULL;
    CHECK_OK(bw__exec_create(&x, threads));
    x.comm = c->comm;
    bw_status st = bw__loss_create(&loss, &x, config, c->n, c->d);
    if (st == BW_OK) {
        /* The dry run says how much it takes; a wrong answer ends in an assertion of the arena. */
        CHECK_OK(bw__loss_run(loss, &x, &c->value, NULL, NULL, NULL));
        size_t bytes = x.arena.peak;
        bw__arena_destroy(&x.arena);
        CHECK_OK(bw__arena_create(&x.arena, bytes));
        memset(x.arena.base, 0xff, bytes); /* a NaN wherever nothing is written */
        for (int64_t i = 0; i < c->count + GUARD; i++)
            c->diff[i] = -77.0f;
        st = bw__loss_run(loss, &x, &c->value, c->diff, c->z, c->labels);
        for (int64_t i = c->count; i < c->count + GUARD; i++)
            assert_true(c->diff[i] == -77.0f);
    }
    bw__loss_free(loss);
    bw__exec_destroy(&x);
    return st;
}

static inline void run_loss(loss_case *c, const bw_loss_config *config)
{
    CHECK_OK(try_loss(c, config, 2));
}
#endif
