#include "nn/batch_norm.h"
#include "base/memory.h"
#include "nn/loops.h"
#include <math.h>
#include <string.h>

/* Rows are cut into at most MAX_PIECES pieces per view, whatever the number of threads, so that sums are
 * always added in the same order. */
#define MAX_PIECES 32

typedef struct piece {
    int view;
    int64_t first, rows; /* rows within all views: view * rows + ... */
} piece;

static int64_t pieces_per_view(const bw_bn *bn)
{
    int64_t n = bn->rows / 16;
    return n < 1 ? 1 : n > MAX_PIECES ? MAX_PIECES : n;
}

static piece piece_at(const bw_bn *bn, int64_t i)
{
    int64_t n = pieces_per_view(bn), view = i / n, k = i % n;
    int64_t from = bn->rows * k / n, to = bn->rows * (k + 1) / n;
    return (piece){ .view = (int)view, .first = view * bn->rows + from, .rows = to - from };
}

/* Runs `code` for every piece `q` of the tensor, `at` its first element, `k` its first coefficient. */
#define FOR_PIECES(code)                                                                                     \
    do {                                                                                                     \
        if (bw__exec_is_dry(x)) break;                                                                       \
        const bw_loops *loops = bw__loops();                                                                 \
        int64_t total_ = pieces_per_view(bn) * bn->views;                                                    \
        _Pragma("omp parallel for schedule(static) num_threads(x->threads)") for (int64_t i_ = 0;            \
                                                                                  i_ < total_; i_++)         \
        {                                                                                                    \
            piece q = piece_at(bn, i_);                                                                      \
            int64_t at = q.first * bn->c, k = q.view * bn->c;                                                \
            code;                                                                                            \
        }                                                                                                    \
    } while (0)

bw_status bw__bn_create(bw_bn *out, bw_type type, int views, int64_t rows, int64_t c)
{
    float *mem = NULL;
    *out = (bw_bn){ 0 };
    bw_status st = BW_ALLOC(&mem, 4 * views * c);
    if (st != BW_OK) return st;
    int64_t n = views * c;
    *out = (bw_bn){ .type = type,
                    .views = views,
                    .rows = rows,
                    .c = c,
                    .mean = mem,
                    .rstd = mem + n,
                    .a = mem + 2 * n,
                    .b = mem + 3 * n };
    return BW_OK;
}

void bw__bn_destroy(bw_bn *bn)
{
    bw__free(bn->mean);
    *bn = (bw_bn){ 0 };
}

/* partial [views, pieces, 2, c] -> sums [2, views, c], in order. */
static void add_pieces(const bw_bn *bn, double *sums, const double *partial)
{
    int64_t c = bn->c, n = pieces_per_view(bn);
    memset(sums, 0, (size_t)(2 * bn->views * c) * sizeof *sums);
    for (int v = 0; v < bn->views; v++) {
        double *first = sums + v * c, *second = sums + (bn->views + v) * c;
        for (int64_t k = v * n; k < (v + 1) * n; k++)
            for (int64_t i = 0; i < c; i++) {
                first[i] += partial[k * 2 * c + i];
                second[i] += partial[(k * 2 + 1) * c + i];
            }
    }
}

/* ---- coefficients ---- */

static void set_coefficients(bw_bn *bn, int view, int64_t i, double mean, double var, const bw_bn_params *p)
{
    int64_t at = view * bn->c + i;
    double rstd = 1.0 / sqrt(var + BW_BN_EPS);
    double weight = p->weight ? (double)p->weight[i] : 1.0, bias = p->bias ? (double)p->bias[i] : 0.0;
    bn->mean[at] = (float)mean;
    bn->rstd[at] = (float)rstd;
    bn->a[at] = (float)(weight * rstd);
    bn->b[at] = (float)(bias - mean * weight * rstd);
}

static void update_running(float *running, double value)
{
    *running = (float)((1.0 - BW_BN_MOMENTUM) * (double)*running + BW_BN_MOMENTUM * value);
}

/* Rows of one view on all ranks. */
static double all_rows(const bw_bn *bn, const bw_exec *x)
{
    return (double)bn->rows * (double)bw__exec_ranks(x);
}

void bw__bn_set_statistics(bw_bn *bn, const bw_exec *x, const double *moments, const bw_bn_params *p)
{
    const double rows = all_rows(bn, x), *mean = moments, *var = moments + bn->views * bn->c;
    for (int64_t k = 0; k < bn->views * bn->c; k++) {
        int64_t i = k % bn->c;
        double v = var[k] < 0.0 ? 0.0 : var[k];
        set_coefficients(bn, (int)(k / bn->c), i, mean[k], v, p);
        if (p->running_mean) update_running(&p->running_mean[i], mean[k]);
        if (p->running_var) update_running(&p->running_var[i], v * rows / (rows - 1.0));
    }
}

void bw__bn_statistics(bw_bn *bn, bw_exec *x, const void *y, const bw_bn_params *p)
{
    int64_t c = bn->c, n = pieces_per_view(bn), all = bn->views * c;
    size_t mark = bw__exec_mark(x);
    double *partial = bw__arena_take(&x->arena, x->side, (size_t)(n * bn->views * 2 * c) * sizeof *partial);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * all) * sizeof *sums);
    double begin = bw__profile_begin(x);
    if (bw__exec_is_dry(x)) goto out;
    /* Sums are about each view's first row, which lies in `mean` until the mean is known. */
    for (int v = 0; v < bn->views; v++)
        bw__loops()->to_f32(bn->type, bn->mean + v * c, bw__const_at(bn->type, y, v * bn->rows * c), c);
    FOR_PIECES(double *s = partial + i_ * 2 * c; memset(s, 0, (size_t)(2 * c) * sizeof *s);
               loops->moments(bn->type, s, s + c, bw__const_at(bn->type, y, at), bn->mean + k, q.rows, c));
    add_pieces(bn, sums, partial);
    for (int64_t k = 0; k < all; k++) { /* in place: mean and variance */
        double m = sums[k] / (double)bn->rows;
        sums[all + k] = sums[all + k] / (double)bn->rows - m * m;
        sums[k] = (double)bn->mean[k] + m;
    }
    bw__exec_join_moments(x, sums, all, 0);
    bw__bn_set_statistics(bn, x, sums, p);
out:
    bw__profile_end(x, begin, "batch norm", "statistics", 0);
    bw__exec_release(x, mark);
}

void bw__bn_use_running(bw_bn *bn, bw_exec *x, const bw_bn_params *p)
{
    if (bw__exec_is_dry(x)) return;
    for (int v = 0; v < bn->views; v++)
        for (int64_t i = 0; i < bn->c; i++)
            set_coefficients(bn, v, i, (double)p->running_mean[i], (double)p->running_var[i], p);
}

/* ---- forward ---- */

void bw__bn_forward(const bw_bn *bn, bw_exec *x, void *dst, const void *y)
{
    double begin = bw__profile_begin(x);
    FOR_PIECES(loops->affine(bn->type, bw__at(bn->type, dst, at), bw__const_at(bn->type, y, at), bn->a + k,
                             bn->b + k, q.rows, bn->c, false));
    bw__profile_end(x, begin, "batch norm, ReLU, sum", "forward", 0);
}

void bw__bn_relu_forward(const bw_bn *bn, bw_exec *x, void *dst, const void *y)
{
    double begin = bw__profile_begin(x);
    FOR_PIECES(loops->affine(bn->type, bw__at(bn->type, dst, at), bw__const_at(bn->type, y, at), bn->a + k,
                             bn->b + k, q.rows, bn->c, true));
    bw__profile_end(x, begin, "batch norm, ReLU, sum", "forward", 0);
}

void bw__bn_add_relu_forward(const bw_bn *bn, bw_exec *x, void *dst, const void *y, const void *shortcut,
                             const bw_bn *sbn)
{
    double begin = bw__profile_begin(x);
    FOR_PIECES(loops->affine_add_relu(bn->type, bw__at(bn->type, dst, at), bw__const_at(bn->type, y, at),
                                      bn->a + k, bn->b + k, bw__const_at(bn->type, shortcut, at),
                                      sbn ? sbn->a + k : NULL, sbn ? sbn->b + k : NULL, q.rows, bn->c));
    bw__profile_end(x, begin, "batch norm, ReLU, sum", "forward", 0);
}

/* ---- backward ---- */

void bw__relu_backward(const bw_bn *bn, bw_exec *x, void *diff, const void *dst)
{
    double begin = bw__profile_begin(x);
    FOR_PIECES((void)k; loops->relu_backward(bn->type, bw__at(bn->type, diff, at),
                                             bw__const_at(bn->type, dst, at), q.rows * bn->c));
    bw__profile_end(x, begin, "ReLU", "backward", 0);
}

/* diff [c] = sum over views of this rank's sums [views, c], times rstd [views, c] where that is given. */
static void param_gradient(const bw_bn *bn, float *diff, const double *sums, const float *rstd)
{
    if (!diff) return;
    for (int64_t k = 0; k < bn->views * bn->c; k++) {
        int64_t i = k % bn->c;
        diff[i] = (float)((k < bn->c ? 0.0 : (double)diff[i]) + (rstd ? sums[k] * (double)rstd[k] : sums[k]));
    }
}

void bw__bn_backward_coefficients(const bw_bn *bn, bw_exec *x, double *sums, const bw_bn_params *p,
                                  float *coef, float *diff_weight, float *diff_bias)
{
    const int64_t all = bn->views * bn->c;
    const double rows = all_rows(bn, x);
    param_gradient(bn, diff_bias, sums, NULL);
    param_gradient(bn, diff_weight, sums + all, bn->rstd);
    bw__exec_sum_f64(x, sums, 2 * all); /* behind the gradients of parameters, which others add up */
    for (int64_t k = 0; k < all; k++) {
        double rstd = (double)bn->rstd[k], scale = (p->weight ? (double)p->weight[k % bn->c] : 1.0) * rstd;
        coef[k] = (float)scale;
        coef[all + k] = (float)(-scale * rstd * (sums[all + k] * rstd) / rows);
        coef[2 * all + k] = (float)(-scale * sums[k] / rows);
    }
}

/* Coefficients of the backward loops for all views, in arrays of one allocation. */
static bw_bn_slopes slopes_at(const bw_bn *bn, const float *coef, int64_t k)
{
    int64_t stride = bn->views * bn->c;
    return (bw_bn_slopes){ .mean = bn->mean + k,
                           .a = bn->a + k,
                           .b = bn->b + k,
                           .by_diff = coef + k,
                           .by_y = coef + stride + k,
                           .offset = coef + 2 * stride + k };
}

void bw__bn_backward(const bw_bn *bn, bw_exec *x, void *diff_y, float *diff_weight, float *diff_bias,
                     const void *diff_dst, const void *y, const bw_bn_params *p, bool with_relu)
{
    int64_t c = bn->c, n = pieces_per_view(bn), stride = bn->views * c;
    bw_type t = bn->type;
    size_t mark = bw__exec_mark(x);
    double *partial = bw__arena_take(&x->arena, x->side, (size_t)(n * bn->views * 2 * c) * sizeof *partial);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * stride) * sizeof *sums);
    float *coef = bw__exec_take_f32(x, 3 * stride);
    double begin = bw__profile_begin(x);
    if (bw__exec_is_dry(x)) goto out;
    FOR_PIECES(double *s = partial + i_ * 2 * c; bw_bn_slopes f = slopes_at(bn, coef, k);
               memset(s, 0, (size_t)(2 * c) * sizeof *s);
               loops->products(t, s, s + c, bw__const_at(t, diff_dst, at), bw__const_at(t, y, at), &f, q.rows,
                               c, with_relu));
    add_pieces(bn, sums, partial);
    bw__bn_backward_coefficients(bn, x, sums, p, coef, diff_weight, diff_bias);
    FOR_PIECES(bw_bn_slopes f = slopes_at(bn, coef, k);
               loops->bn_backward(t, bw__at(t, diff_y, at), bw__const_at(t, diff_dst, at),
                                  bw__const_at(t, y, at), &f, q.rows, c, with_relu));
out:
    bw__profile_end(x, begin, "batch norm", "backward", 0);
    bw__exec_release(x, mark);
}

/* ---- with global average pooling behind ---- */

void bw__bn_relu_pool_forward(const bw_bn *bn, bw_exec *x, float *h, const void *y, int64_t positions)
{
    int64_t c = bn->c, per_view = bn->rows / positions, images = bn->views * per_view;
    const bw_loops *loops = bw__loops();
    if (bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin(x);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t n = 0; n < images; n++) {
        int64_t k = n / per_view * c;
        loops->relu_pool(bn->type, h + n * c, bw__const_at(bn->type, y, n * positions * c), bn->a + k,
                         bn->b + k, positions, c);
    }
    bw__profile_end(x, begin, "batch norm, ReLU, pool", "forward", 0);
}

/* Sums [2, views, c] over a view's images of g and g (y - mean), from those of each image. */
static void add_images(const bw_bn *bn, double *sums, const float *g, const float *count, const float *sum,
                       int64_t per_view)
{
    const int64_t c = bn->c;
    memset(sums, 0, (size_t)(2 * bn->views * c) * sizeof *sums);
    for (int64_t n = 0; n < bn->views * per_view; n++) {
        double *first = sums + n / per_view * c, *second = first + bn->views * c;
        for (int64_t i = 0; i < c; i++) {
            first[i] += (double)g[n * c + i] * (double)count[n * c + i];
            second[i] += (double)g[n * c + i] * (double)sum[n * c + i];
        }
    }
}

void bw__bn_relu_pool_backward(const bw_bn *bn, bw_exec *x, void *diff_y, float *diff_weight,
                               float *diff_bias, const float *diff_h, const void *y, const bw_bn_params *p,
                               int64_t positions)
{
    int64_t c = bn->c, per_view = bn->rows / positions, images = bn->views * per_view, stride = bn->views * c;
    bw_type t = bn->type;
    const bw_loops *loops = bw__loops();
    size_t mark = bw__exec_mark(x);
    float *count = bw__exec_take_f32(x, images * c), *sum = bw__exec_take_f32(x, images * c);
    float *coef = bw__exec_take_f32(x, 3 * stride), *g = bw__exec_take_f32(x, images * c);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * stride) * sizeof *sums);
    double begin = bw__profile_begin(x);
    if (bw__exec_is_dry(x)) goto out;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t n = 0; n < images; n++) {
        bw_bn_slopes f = slopes_at(bn, coef, n / per_view * c);
        loops->relu_pool_sums(t, count + n * c, sum + n * c, bw__const_at(t, y, n * positions * c), &f,
                              positions, c);
        for (int64_t i = 0; i < c; i++)
            g[n * c + i] = diff_h[n * c + i] / (float)positions;
    }
    add_images(bn, sums, g, count, sum, per_view);
    bw__bn_backward_coefficients(bn, x, sums, p, coef, diff_weight, diff_bias);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t n = 0; n < images; n++) {
        int64_t at = n * positions * c;
        bw_bn_slopes f = slopes_at(bn, coef, n / per_view * c);
        loops->relu_pool_backward(t, bw__at(t, diff_y, at), g + n * c, bw__const_at(t, y, at), &f, positions,
                                  c);
    }
out:
    bw__profile_end(x, begin, "batch norm, ReLU, pool", "backward", 0);
    bw__exec_release(x, mark);
}
