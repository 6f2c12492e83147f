/* Two learning rules written as a program outside of the library would: by the public headers alone. */
#ifndef BW_TESTS_OWN_RULES_H
#define BW_TESTS_OWN_RULES_H
#include "blockwise/rule.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

/* --- Barlow Twins, in plain loops and double (Zbontar et al. 2021, eq. 1) --- */

typedef struct own_barlow {
    double lambda;
} own_barlow;

static inline int64_t own_barlow_bytes(void *user, const bw_rule_call *sizes)
{
    (void)user;
    return (int64_t)sizeof(double) * (4 * sizes->n * sizes->dim + 8 * sizes->dim + sizes->dim * sizes->dim);
}

/* a [n, D] of one view, standardised over the N images of all ranks; std [D]. */
static inline bw_status own_standardise(bw_rule_call *c, double *a, double *std, double *sums, const float *z)
{
    const int64_t n = c->n, d = c->dim;
    memset(sums, 0, (size_t)(2 * d) * sizeof *sums);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            sums[j] += (double)z[i * d + j];
            sums[d + j] += (double)z[i * d + j] * (double)z[i * d + j];
        }
    bw_status st = bw_rule_sum(c, sums, 2 * d);
    for (int64_t j = 0; j < d; j++) {
        const double mean = sums[j] / (double)c->all;
        std[j] = sqrt(sums[d + j] / (double)c->all - mean * mean + 1e-5);
        for (int64_t i = 0; i < n; i++)
            a[i * d + j] = ((double)z[i * d + j] - mean) / std[j];
    }
    return st;
}

/* dz from da [n, D], through the standardisation. */
static inline bw_status own_unstandardise(bw_rule_call *c, float *dz, const double *da, const double *a,
                                          const double *std, double *sums)
{
    const int64_t n = c->n, d = c->dim;
    memset(sums, 0, (size_t)(2 * d) * sizeof *sums);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            sums[j] += da[i * d + j];
            sums[d + j] += da[i * d + j] * a[i * d + j];
        }
    bw_status st = bw_rule_sum(c, sums, 2 * d);
    for (int64_t i = 0; i < n * d; i++) {
        const int64_t j = i % d;
        dz[i] = (float)((da[i] - sums[j] / (double)c->all - a[i] * sums[d + j] / (double)c->all) / std[j]);
    }
    return st;
}

/* correlation [D, D] becomes dL/dC / N. */
static inline void own_judge(bw_rule_call *c, double *correlation, double lambda)
{
    const int64_t d = c->dim;
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++) {
            double *at = &correlation[i * d + j];
            const double apart = *at / (double)c->all - (i == j ? 1.0 : 0.0);
            c->term[i == j ? 0 : 1] += apart * apart;
            *at = 2.0 * c->scale * (i == j ? 1.0 : lambda) * apart / (double)c->all;
        }
    c->total = c->scale * (c->term[0] + lambda * c->term[1]);
}

static inline bw_status own_barlow_run(void *user, bw_rule_call *c)
{
    const own_barlow *o = user;
    const int64_t n = c->n, d = c->dim;
    double *a = c->scratch, *b = a + n * d, *da = b + n * d, *db = da + n * d, *std = db + n * d,
           *sums = std + 2 * d, *correlation = sums + 2 * d;
    bw_status st = own_standardise(c, a, std, sums, c->z);
    if (st == BW_OK) st = own_standardise(c, b, std + d, sums, c->z + n * d);
    if (st != BW_OK) return st;
    memset(correlation, 0, (size_t)(d * d) * sizeof *correlation);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d * d; j++)
            correlation[j] += a[i * d + j / d] * b[i * d + j % d];
    st = bw_rule_sum(c, correlation, d * d);
    if (st != BW_OK) return st;
    own_judge(c, correlation, o->lambda);
    memset(da, 0, (size_t)(2 * n * d) * sizeof *da);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d * d; j++) {
            da[i * d + j / d] += correlation[j] * b[i * d + j % d];
            db[i * d + j % d] += correlation[j] * a[i * d + j / d];
        }
    st = own_unstandardise(c, c->diff_z, da, a, std, sums);
    if (st == BW_OK) st = own_unstandardise(c, c->diff_z + n * d, db, b, std + d, sums);
    return st;
}

/* Its terms are not called as those of the library's own. */
static inline bw_rule own_barlow_rule(own_barlow *o)
{
    return (bw_rule){ .name = "own-barlow",
                      .term = { "own_on", "own_off" },
                      .run = own_barlow_run,
                      .scratch_bytes = own_barlow_bytes,
                      .user = o };
}

/* --- views attract each other, all images push each other away ---
 *
 *     L = scale * ( mean_i |x_i - y_i|^2 / D + mean_ij exp(-|x_i - x_j|^2 / D) + the same of y )
 *
 * Every pair of images counts, those of other ranks too. */

static inline int64_t own_push_bytes(void *user, const bw_rule_call *sizes)
{
    (void)user;
    return (int64_t)sizeof(float) * 2 * sizes->all * sizes->dim;
}

static inline double own_push_row(const bw_rule_call *c, float *diff, const float *row, const float *everyone,
                                  int view)
{
    const int64_t n = c->n, d = c->dim;
    const double pairs = (double)c->all * (double)c->all;
    double sum = 0.0;
    for (int64_t j = 0; j < c->all; j++) {
        const float *other = everyone + (j / n * 2 + view) * n * d + j % n * d;
        double apart = 0.0;
        for (int64_t e = 0; e < d; e++)
            apart += ((double)row[e] - (double)other[e]) * ((double)row[e] - (double)other[e]);
        const double push = exp(-apart / (double)d);
        sum += push / pairs;
        for (int64_t e = 0; e < d; e++) /* of both pairs, (i, j) and (j, i) */
            diff[e] -=
                (float)(c->scale * 4.0 * push * ((double)row[e] - (double)other[e]) / ((double)d * pairs));
    }
    return sum;
}

static inline bw_status own_push_run(void *user, bw_rule_call *c)
{
    (void)user;
    const int64_t n = c->n, d = c->dim;
    double sums[2] = { 0.0, 0.0 };
    float *everyone = c->scratch;
    bw_status st = bw_rule_gather(c, everyone, c->z, 2 * n * d);
    if (st != BW_OK) return st;
    for (int64_t i = 0; i < n * d; i++) {
        const double apart = (double)c->z[i] - (double)c->z[n * d + i], share = (double)(c->all * d);
        sums[0] += apart * apart / share;
        c->diff_z[i] = (float)(c->scale * 2.0 * apart / share);
        c->diff_z[n * d + i] = -c->diff_z[i];
    }
    for (int64_t r = 0; r < 2 * n; r++)
        sums[1] += own_push_row(c, c->diff_z + r * d, c->z + r * d, everyone, (int)(r / n));
    st = bw_rule_sum(c, sums, 2);
    c->term[0] = sums[0];
    c->term[1] = sums[1];
    c->total = c->scale * (sums[0] + sums[1]);
    return st;
}

static inline bw_rule own_push_rule(void)
{
    return (bw_rule){
        .name = "own-push", .term = { "pull", "push" }, .run = own_push_run, .scratch_bytes = own_push_bytes
    };
}
#endif
