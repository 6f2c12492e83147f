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

/* partial [pieces, 2, c] -> sums [2, c] of one view, in order. */
static void add_pieces(double *sums, const double *partial, int64_t pieces, int64_t c)
{
    memset(sums, 0, (size_t)(2 * c) * sizeof *sums);
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t i = 0; i < 2 * c; i++)
            sums[i] += partial[k * 2 * c + i];
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

void bw__bn_set_statistics(bw_bn *bn, int view, const double *mean, const double *var, const bw_bn_params *p)
{
    const double rows = (double)bn->rows;
    for (int64_t i = 0; i < bn->c; i++) {
        double v = var[i] < 0.0 ? 0.0 : var[i];
        set_coefficients(bn, view, i, mean[i], v, p);
        if (p->running_mean) update_running(&p->running_mean[i], mean[i]);
        if (p->running_var) update_running(&p->running_var[i], v * rows / (rows - 1.0));
    }
}

void bw__bn_statistics(bw_bn *bn, bw_exec *x, const void *y, const bw_bn_params *p)
{
    int64_t c = bn->c, n = pieces_per_view(bn);
    size_t mark = bw__exec_mark(x);
    double *partial = bw__arena_take(&x->arena, x->side, (size_t)(n * bn->views * 2 * c) * sizeof *partial);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * c) * sizeof *sums);
    double begin = bw__profile_begin(x);
    if (bw__exec_is_dry(x)) goto out;
    /* Sums are about each view's first row, which lies in `mean` until the mean is known. */
    for (int v = 0; v < bn->views; v++)
        bw__loops()->to_f32(bn->type, bn->mean + v * c, bw__const_at(bn->type, y, v * bn->rows * c), c);
    FOR_PIECES(double *s = partial + i_ * 2 * c; memset(s, 0, (size_t)(2 * c) * sizeof *s);
               loops->moments(bn->type, s, s + c, bw__const_at(bn->type, y, at), bn->mean + k, q.rows, c));
    for (int v = 0; v < bn->views; v++) {
        add_pieces(sums, partial + v * n * 2 * c, n, c);
        for (int64_t i = 0; i < c; i++) { /* in place: mean and variance */
            double m = sums[i] / (double)bn->rows;
            sums[c + i] = sums[c + i] / (double)bn->rows - m * m;
            sums[i] = (double)bn->mean[v * c + i] + m;
        }
        bw__bn_set_statistics(bn, v, sums, sums + c, p);
    }
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

void bw__bn_backward_coefficients(const bw_bn *bn, int view, const double *sums, const bw_bn_params *p,
                                  float *ca, float *cb, float *cc, float *diff_weight, float *diff_bias)
{
    int64_t c = bn->c;
    double rows = (double)bn->rows;
    for (int64_t i = 0; i < c; i++) {
        double rstd = (double)bn->rstd[view * c + i], scale = (p->weight ? (double)p->weight[i] : 1.0) * rstd;
        double sum_xhat = sums[c + i] * rstd;
        ca[i] = (float)scale;
        cb[i] = (float)(-scale * rstd * sum_xhat / rows);
        cc[i] = (float)(-scale * sums[i] / rows);
        if (diff_weight) diff_weight[i] = (float)((view ? (double)diff_weight[i] : 0.0) + sum_xhat);
        if (diff_bias) diff_bias[i] = (float)((view ? (double)diff_bias[i] : 0.0) + sums[i]);
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
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * c) * sizeof *sums);
    float *coef = bw__exec_take_f32(x, 3 * stride);
    double begin = bw__profile_begin(x);
    if (bw__exec_is_dry(x)) goto out;
    FOR_PIECES(double *s = partial + i_ * 2 * c; bw_bn_slopes f = slopes_at(bn, coef, k);
               memset(s, 0, (size_t)(2 * c) * sizeof *s);
               loops->products(t, s, s + c, bw__const_at(t, diff_dst, at), bw__const_at(t, y, at), &f, q.rows,
                               c, with_relu));
    for (int v = 0; v < bn->views; v++) {
        float *f = coef + v * c;
        add_pieces(sums, partial + v * n * 2 * c, n, c);
        bw__bn_backward_coefficients(bn, v, sums, p, f, f + stride, f + 2 * stride, diff_weight, diff_bias);
    }
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

/* Sums over the images of one view of g and g (y - mean), from those of each image. */
static void add_images(double *sums, const float *g, const float *count, const float *sum, int64_t from,
                       int64_t to, int64_t c)
{
    memset(sums, 0, (size_t)(2 * c) * sizeof *sums);
    for (int64_t n = from; n < to; n++)
        for (int64_t i = 0; i < c; i++) {
            sums[i] += (double)g[n * c + i] * (double)count[n * c + i];
            sums[c + i] += (double)g[n * c + i] * (double)sum[n * c + i];
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
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * c) * sizeof *sums);
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
    for (int v = 0; v < bn->views; v++) {
        float *f = coef + v * c;
        add_images(sums, g, count, sum, v * per_view, (v + 1) * per_view, c);
        bw__bn_backward_coefficients(bn, v, sums, p, f, f + stride, f + 2 * stride, diff_weight, diff_bias);
    }
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
