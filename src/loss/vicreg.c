/* VICReg (Bardes, Ponce, LeCun 2022) as its authors' code has it. With x, y [N, D] the embeddings of the two
 * views, std_j(x) = sqrt(var_j(x) + 1e-4) over the N images (unbiased variance) and Cov(x) the unbiased
 * covariance matrix:
 *
 *     invariance = sum_ij (x_ij - y_ij)^2 / (N D)
 *     variance   = [ sum_j max(0, 1 - std_j(x)) + sum_j max(0, 1 - std_j(y)) ] / (2 D)
 *     covariance = [ sum_{i != j} Cov(x)_ij^2 + sum_{i != j} Cov(y)_ij^2 ] / D
 *     L = scale * ( c_i invariance + c_v variance + c_c covariance ),   weights 25, 25, 1
 *
 * With the same weights others minimise something else. The paper divides the invariance by N alone (eq. 5)
 * and does not halve the variance (eq. 6); solo-learn does not halve it either: its weight 25 is 50 here.
 * lightly's is the same as this one.
 *
 * Gradient: that of variance and covariance goes through the centred embeddings xc alone and is xc G with
 * G_ij = 4 c_c scale / (D (N-1)) Cov_ij, i != j, and G_jj = -c_v scale / (2 D (N-1) std_j) where std_j < 1.
 * Centring has no further part in it: the columns of xc G add up to zero already. Sums of L are in double.
 *
 * Over ranks: N counts the images of all. Summed for each view: columns, and their squares about the mean of
 * all, in double; the upper triangle of xc^T xc in float; then the distance. 4 D^2 + 36 D + 8 bytes. */
#include "base/memory.h"
#include "loss/loss.h"
#include "nn/matmul.h"
#include <math.h>
#include <string.h>

static const double VARIANCE_EPS = 1e-4; /* the authors' */
enum { COLUMNS = 64 };                   /* that one thread takes at a time, and side of a tile */

typedef struct vicreg {
    int64_t n, d, all; /* all: N */
    bw_loss_config config;
    bw_matmul *correlate; /* xc^T xc */
    bw_matmul *spread;    /* xc G */
} vicreg;

static void vicreg_destroy(void *state)
{
    vicreg *v = state;
    bw__matmul_free(v->correlate);
    bw__matmul_free(v->spread);
    bw__free(v);
}

static bw_status vicreg_create(void **state, bw_exec *x, const bw_loss_config *config, int64_t n, int64_t d)
{
    bw_status st = BW_OK;
    vicreg *v = NULL;
    int64_t all = n * bw__exec_ranks(x);
    if (all < 2 || d < 1)
        return bw_fail(BW_EINVAL, "VICReg needs at least 2 images and 1 dimension, not %lld and %lld",
                       (long long)all, (long long)d);
    BW_TRY(BW_ALLOC(&v, 1));
    *v = (vicreg){ .n = n, .d = d, .all = all, .config = *config };
    const bw_matmul_shape correlate = { .m = d, .n = d, .k = n, .transpose_a = true },
                          spread = { .m = n, .n = d, .k = d };
    BW_TRY(bw__matmul_create(&v->correlate, x, &correlate));
    BW_TRY(bw__matmul_create(&v->spread, x, &spread));
    *state = v;
    v = NULL;
out:
    if (v) vicreg_destroy(v);
    return st;
}

static void add_columns(const vicreg *v, double *sum, const float *z, int64_t begin, int64_t end)
{
    int64_t count = end - begin;
    double columns[COLUMNS] = { 0 };
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t j = 0; j < count; j++)
            columns[j] += (double)z[i * v->d + begin + j];
    for (int64_t j = 0; j < count; j++)
        sum[begin + j] = columns[j];
}

static void centre_columns(const vicreg *v, float *xc, double *sum, const float *z, const double *mean,
                           int64_t begin, int64_t end)
{
    int64_t count = end - begin;
    double squares[COLUMNS] = { 0 };
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t j = 0; j < count; j++) {
            double centred = (double)z[i * v->d + begin + j] - mean[begin + j];
            squares[j] += centred * centred;
            xc[i * v->d + begin + j] = (float)centred;
        }
    for (int64_t j = 0; j < count; j++)
        sum[begin + j] = squares[j];
}

/* xc = z - its mean over the rows of all ranks, and std [d]. mean [d] is scratch. */
static void centre(const vicreg *v, bw_exec *x, float *xc, double *std, const float *z, double *mean)
{
    int64_t d = v->d;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t begin = 0; begin < d; begin += COLUMNS)
        add_columns(v, mean, z, begin, begin + COLUMNS < d ? begin + COLUMNS : d);
    bw__exec_sum_f64(x, mean, d);
    for (int64_t j = 0; j < d; j++)
        mean[j] /= (double)v->all;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t begin = 0; begin < d; begin += COLUMNS)
        centre_columns(v, xc, std, z, mean, begin, begin + COLUMNS < d ? begin + COLUMNS : d);
    bw__exec_sum_f64(x, std, d);
    for (int64_t j = 0; j < d; j++)
        std[j] = sqrt(std[j] / (double)(v->all - 1) + VARIANCE_EPS);
}

/* Sum over ranks of c [d, d], which is symmetric: of its upper triangle, packed in its own place. */
static void sum_symmetric(bw_exec *x, float *c, int64_t d)
{
    int64_t count = 0;
    if (bw__exec_ranks(x) == 1 || bw__exec_is_dry(x)) return;
    for (int64_t i = 0; i < d; i++) {
        memmove(c + count, c + i * d + i, (size_t)(d - i) * sizeof *c);
        count += d - i;
    }
    bw__exec_sum_f32(x, c, count);
    for (int64_t i = d - 1; i >= 0; i--) {
        count -= d - i;
        memmove(c + i * d + i, c + count, (size_t)(d - i) * sizeof *c);
    }
    /* By tiles: a column has every element in another page. */
#pragma omp parallel for schedule(dynamic) num_threads(x->threads)
    for (int64_t row = 0; row < d; row += COLUMNS)
        for (int64_t column = 0; column <= row; column += COLUMNS)
            for (int64_t i = row; i < d && i < row + COLUMNS; i++)
                for (int64_t j = column; j < i && j < column + COLUMNS; j++)
                    c[i * d + j] = c[j * d + i];
}

/* c [d, d] holds xc^T xc and becomes G; the view's sums are added to the terms. row [d] is scratch. */
static void terms_and_slopes(const vicreg *v, bw_exec *x, double *variance, double *covariance, float *c,
                             const double *std, double *row)
{
    int64_t d = v->d;
    double rows = (double)(v->all - 1), scale = v->config.scale;
    float to_cov = (float)(1.0 / rows),
          off_slope = (float)(4.0 * v->config.covariance * scale / ((double)d * rows));
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < d; i++) {
        float *g = c + i * d;
        double off = 0.0;
        g[i] = 0.0f;
        for (int64_t j = 0; j < d; j++) {
            float cov = g[j] * to_cov;
            off += (double)cov * (double)cov;
            g[j] = off_slope * cov;
        }
        if (std[i] < 1.0) g[i] = (float)(-v->config.variance * scale / (2.0 * (double)d * rows * std[i]));
        row[i] = off;
    }
    for (int64_t i = 0; i < d; i++) {
        *covariance += row[i] / (double)d;
        *variance += (std[i] < 1.0 ? 1.0 - std[i] : 0.0) / (2.0 * (double)d);
    }
}

/* The mean squared distance, and its gradient added to both views'. row [n] is scratch. */
static double invariance(const vicreg *v, bw_exec *x, float *diff_z, const float *z, double *row)
{
    int64_t n = v->n, d = v->d;
    double sum = 0.0;
    float slope = (float)(2.0 * v->config.invariance * v->config.scale / ((double)v->all * (double)d));
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i++) {
        double squares = 0.0;
        for (int64_t j = i * d; j < (i + 1) * d; j++) {
            float apart = z[j] - z[n * d + j];
            squares += (double)apart * (double)apart;
            diff_z[j] += slope * apart;
            diff_z[n * d + j] -= slope * apart;
        }
        row[i] = squares;
    }
    for (int64_t i = 0; i < n; i++)
        sum += row[i];
    bw__exec_sum_f64(x, &sum, 1);
    return sum / ((double)v->all * (double)d);
}

static bw_status vicreg_run(void *state, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                            const int *labels)
{
    (void)labels;
    bw_status st = BW_OK;
    vicreg *v = state;
    const bw_loss_config *c = &v->config;
    int64_t n = v->n, d = v->d;
    double term[3] = { 0.0, 0.0, 0.0 };
    size_t mark = bw__exec_mark(x);
    float *xc = bw__exec_take_f32(x, n * d); /* [n, d] of one view */
    float *cov = bw__exec_take_f32(x, d * d);
    double *std = bw__arena_take(&x->arena, x->side, (size_t)d * sizeof *std);
    double *row = bw__arena_take(&x->arena, x->side, (size_t)(n > d ? n : d) * sizeof *row);
    bool dry = bw__exec_is_dry(x);
    for (int view = 0; view < 2; view++) {
        if (!dry) centre(v, x, xc, std, z + view * n * d, row);
        BW_TRY(bw__matmul_run(v->correlate, x, cov, xc, xc));
        sum_symmetric(x, cov, d);
        if (!dry) terms_and_slopes(v, x, &term[1], &term[2], cov, std, row);
        BW_TRY(bw__matmul_run(v->spread, x, diff_z + view * n * d, xc, cov));
    }
    if (dry) goto out;
    term[0] = invariance(v, x, diff_z, z, row);
    *out = (bw_loss_value){ .total = c->scale * (c->invariance * term[0] + c->variance * term[1] +
                                                 c->covariance * term[2]),
                            .term = { term[0], term[1], term[2] } };
out:
    bw__exec_release(x, mark);
    return st;
}

static int64_t vicreg_flops(const void *state)
{
    const vicreg *v = state;
    return 2 * (bw__matmul_flops(v->correlate) + bw__matmul_flops(v->spread));
}

const bw_loss_ops bw__loss_vicreg = { .name = "vicreg",
                                      .terms = { "invariance", "variance", "covariance" },
                                      .create = vicreg_create,
                                      .destroy = vicreg_destroy,
                                      .run = vicreg_run,
                                      .flops = vicreg_flops };
