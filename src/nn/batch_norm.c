#include "nn/batch_norm.h"
#include "base/dispatch.h"
#include "base/memory.h"
#include <math.h>
#include <string.h>

/* Rows are cut into at most MAX_PIECES pieces per view, whatever the number of threads, so that sums are
 * always added in the same order. Within a piece, BLOCK rows are summed in f32 before they join the double.
 */
#define MAX_PIECES 32
#define BLOCK      32

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

bw_status bw__bn_create(bw_bn *out, int views, int64_t rows, int64_t c)
{
    float *mem = NULL;
    *out = (bw_bn){ 0 };
    bw_status st = BW_ALLOC(&mem, 4 * views * c);
    if (st != BW_OK) return st;
    int64_t n = views * c;
    *out = (bw_bn){
        .views = views, .rows = rows, .c = c, .mean = mem, .rstd = mem + n, .a = mem + 2 * n, .b = mem + 3 * n
    };
    return BW_OK;
}

void bw__bn_destroy(bw_bn *bn)
{
    bw__free(bn->mean);
    *bn = (bw_bn){ 0 };
}

/* ---- sums over rows ---- */

/* Loops over channels in tiles whose sums stay in registers: TILE(32), TILE(8), TILE(1) with W constant. */
#define FOR_TILES(c, call)                                                                                   \
    do {                                                                                                     \
        int64_t c0 = 0;                                                                                      \
        for (; c0 + 32 <= (c); c0 += 32)                                                                     \
            call(32);                                                                                        \
        for (; c0 + 8 <= (c); c0 += 8)                                                                       \
            call(8);                                                                                         \
        for (; c0 < (c); c0++)                                                                               \
            call(1);                                                                                         \
    } while (0)

/* Sums of (y - shift) and its square over the rows of a block, for W channels from c0. */
BW_INLINE void moments_tile(double *s0, double *s1, const float *y, const float *shift, int64_t rows,
                            int64_t c, int64_t c0, const int W)
{
    float a0[32] = { 0 }, a1[32] = { 0 };
    for (int64_t r = 0; r < rows; r++) {
        const float *row = y + r * c + c0;
        for (int j = 0; j < W; j++) {
            float d = row[j] - shift[c0 + j];
            a0[j] += d;
            a1[j] += d * d;
        }
    }
    for (int j = 0; j < W; j++) {
        s0[c0 + j] += (double)a0[j];
        s1[c0 + j] += (double)a1[j];
    }
}

BW_CLONES static void moments(double *s0, double *s1, const float *y, const float *shift, int64_t rows,
                              int64_t c)
{
    for (int64_t r = 0; r < rows; r += BLOCK) {
        int64_t n = rows - r < BLOCK ? rows - r : BLOCK;
#define MOMENTS(W) moments_tile(s0, s1, y + r * c, shift, n, c, c0, W)
        FOR_TILES(c, MOMENTS);
#undef MOMENTS
    }
}

/* Sums of g and g * (y - mean), where g is diff, or 0 where relu and a y + b <= 0. */
BW_INLINE void products_tile(double *s0, double *s1, const float *diff, const float *y, const float *mean,
                             const float *a, const float *b, int64_t rows, int64_t c, int64_t c0, const int W,
                             const bool relu)
{
    float a0[32] = { 0 }, a1[32] = { 0 };
    for (int64_t r = 0; r < rows; r++) {
        const float *yr = y + r * c + c0, *dr = diff + r * c + c0;
        for (int j = 0; j < W; j++) {
            float g = dr[j];
            if (relu) g = a[c0 + j] * yr[j] + b[c0 + j] > 0.0f ? g : 0.0f;
            a0[j] += g;
            a1[j] += g * (yr[j] - mean[c0 + j]);
        }
    }
    for (int j = 0; j < W; j++) {
        s0[c0 + j] += (double)a0[j];
        s1[c0 + j] += (double)a1[j];
    }
}

BW_INLINE void products_all(double *s0, double *s1, const float *diff, const float *y, const float *mean,
                            const float *a, const float *b, int64_t rows, int64_t c, const bool relu)
{
    for (int64_t r = 0; r < rows; r += BLOCK) {
        int64_t n = rows - r < BLOCK ? rows - r : BLOCK;
#define PRODUCTS(W) products_tile(s0, s1, diff + r * c, y + r * c, mean, a, b, n, c, c0, W, relu)
        FOR_TILES(c, PRODUCTS);
#undef PRODUCTS
    }
}

BW_CLONES static void products(double *s0, double *s1, const float *diff, const float *y, const float *mean,
                               const float *a, const float *b, int64_t rows, int64_t c)
{
    products_all(s0, s1, diff, y, mean, a, b, rows, c, false);
}

BW_CLONES static void products_relu(double *s0, double *s1, const float *diff, const float *y,
                                    const float *mean, const float *a, const float *b, int64_t rows,
                                    int64_t c)
{
    products_all(s0, s1, diff, y, mean, a, b, rows, c, true);
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

void bw__bn_statistics(bw_bn *bn, bw_exec *x, const float *y, const bw_bn_params *p)
{
    int64_t c = bn->c, n = pieces_per_view(bn), total = n * bn->views;
    size_t mark = bw__exec_mark(x);
    double *partial = bw__arena_take(&x->arena, x->side, (size_t)(total * 2 * c) * sizeof *partial);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * c) * sizeof *sums);
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < total; i++) {
            piece q = piece_at(bn, i);
            double *s = partial + i * 2 * c;
            memset(s, 0, (size_t)(2 * c) * sizeof *s);
            moments(s, s + c, y + q.first * c, y + q.view * bn->rows * c, q.rows, c);
        }
        for (int v = 0; v < bn->views; v++) {
            const float *shift = y + v * bn->rows * c;
            add_pieces(sums, partial + v * n * 2 * c, n, c);
            for (int64_t i = 0; i < c; i++) {
                double m = sums[i] / (double)bn->rows;
                double var = sums[c + i] / (double)bn->rows - m * m;
                if (var < 0.0) var = 0.0;
                set_coefficients(bn, v, i, (double)shift[i] + m, var, p);
                if (p->running_mean) update_running(&p->running_mean[i], (double)shift[i] + m);
                if (p->running_var)
                    update_running(&p->running_var[i], var * (double)bn->rows / (double)(bn->rows - 1));
            }
        }
    }
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

/* Not v > 0 ? v : 0, which would turn a NaN into 0 and hide a diverged run. */
BW_INLINE float relu(float v)
{
    return v < 0.0f ? 0.0f : v;
}

BW_CLONES static void affine_rows(float *dst, const float *y, const float *a, const float *b, int64_t rows,
                                  int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            dst[r * c + i] = a[i] * y[r * c + i] + b[i];
}

BW_CLONES static void affine_relu_rows(float *dst, const float *y, const float *a, const float *b,
                                       int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            dst[r * c + i] = relu(a[i] * y[r * c + i] + b[i]);
}

BW_CLONES static void affine_add_relu_rows(float *restrict dst, const float *y, const float *a,
                                           const float *b, const float *s, int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            dst[r * c + i] = relu(a[i] * y[r * c + i] + b[i] + s[r * c + i]);
}

BW_CLONES static void affine_add_affine_relu_rows(float *restrict dst, const float *y, const float *a,
                                                  const float *b, const float *s, const float *as,
                                                  const float *bs, int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            dst[r * c + i] = relu(a[i] * y[r * c + i] + b[i] + (as[i] * s[r * c + i] + bs[i]));
}

/* Runs `code` for every piece `q` of the tensor, `at` its first element, `k` its first coefficient. */
#define FOR_PIECES(code)                                                                                     \
    do {                                                                                                     \
        if (bw__exec_is_dry(x)) break;                                                                       \
        int64_t total_ = pieces_per_view(bn) * bn->views;                                                    \
        _Pragma("omp parallel for schedule(static) num_threads(x->threads)") for (int64_t i_ = 0;            \
                                                                                  i_ < total_; i_++)         \
        {                                                                                                    \
            piece q = piece_at(bn, i_);                                                                      \
            int64_t at = q.first * bn->c, k = q.view * bn->c;                                                \
            code;                                                                                            \
        }                                                                                                    \
    } while (0)

void bw__bn_forward(const bw_bn *bn, bw_exec *x, float *dst, const float *y)
{
    FOR_PIECES(affine_rows(dst + at, y + at, bn->a + k, bn->b + k, q.rows, bn->c));
}

void bw__bn_relu_forward(const bw_bn *bn, bw_exec *x, float *dst, const float *y)
{
    FOR_PIECES(affine_relu_rows(dst + at, y + at, bn->a + k, bn->b + k, q.rows, bn->c));
}

void bw__bn_add_relu_forward(const bw_bn *bn, bw_exec *x, float *dst, const float *y, const float *shortcut,
                             const bw_bn *sbn)
{
    if (sbn)
        FOR_PIECES(affine_add_affine_relu_rows(dst + at, y + at, bn->a + k, bn->b + k, shortcut + at,
                                               sbn->a + k, sbn->b + k, q.rows, bn->c));
    else
        FOR_PIECES(
            affine_add_relu_rows(dst + at, y + at, bn->a + k, bn->b + k, shortcut + at, q.rows, bn->c));
}

/* ---- backward ---- */

BW_CLONES static void mask_rows(float *restrict diff, const float *restrict dst, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        diff[i] = dst[i] > 0.0f ? diff[i] : 0.0f;
}

void bw__relu_backward(const bw_bn *bn, bw_exec *x, float *diff, const float *dst)
{
    FOR_PIECES((void)k; mask_rows(diff + at, dst + at, q.rows * bn->c));
}

/* diff_y = ca * g + cb * (y - mean) + cc */
BW_CLONES static void backward_rows(float *dy, const float *diff, const float *y, const float *mean,
                                    const float *ca, const float *cb, const float *cc, int64_t rows,
                                    int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            dy[r * c + i] = ca[i] * diff[r * c + i] + cb[i] * (y[r * c + i] - mean[i]) + cc[i];
}

BW_CLONES static void backward_relu_rows(float *dy, const float *diff, const float *y, const float *mean,
                                         const float *a, const float *b, const float *ca, const float *cb,
                                         const float *cc, int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++) {
            float g = a[i] * y[r * c + i] + b[i] > 0.0f ? diff[r * c + i] : 0.0f;
            dy[r * c + i] = ca[i] * g + cb[i] * (y[r * c + i] - mean[i]) + cc[i];
        }
}

/* From the sums of g and g (y - mean) of one view to the coefficients of diff_y, and into diff_weight and
 * diff_bias: with xhat = (y - mean) rstd,
 *     diff_y = weight rstd (g - mean(g) - xhat mean(g xhat)). */
static void backward_coefficients(const bw_bn *bn, int view, const double *sums, const bw_bn_params *p,
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

void bw__bn_backward(const bw_bn *bn, bw_exec *x, float *diff_y, float *diff_weight, float *diff_bias,
                     const float *diff_dst, const float *y, const bw_bn_params *p, bool with_relu)
{
    int64_t c = bn->c, n = pieces_per_view(bn), total = n * bn->views;
    size_t mark = bw__exec_mark(x);
    double *partial = bw__arena_take(&x->arena, x->side, (size_t)(total * 2 * c) * sizeof *partial);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * c) * sizeof *sums);
    float *coef = bw__exec_take_f32(x, 3 * bn->views * c);
    int64_t stride = bn->views * c;
    FOR_PIECES(double *s = partial + i_ * 2 * c; memset(s, 0, (size_t)(2 * c) * sizeof *s);
               (with_relu ? products_relu : products)(s, s + c, diff_dst + at, y + at, bn->mean + k,
                                                      bn->a + k, bn->b + k, q.rows, c));
    if (!bw__exec_is_dry(x))
        for (int v = 0; v < bn->views; v++) {
            float *f = coef + v * c;
            add_pieces(sums, partial + v * n * 2 * c, n, c);
            backward_coefficients(bn, v, sums, p, f, f + stride, f + 2 * stride, diff_weight, diff_bias);
        }
    if (with_relu)
        FOR_PIECES(backward_relu_rows(diff_y + at, diff_dst + at, y + at, bn->mean + k, bn->a + k, bn->b + k,
                                      coef + k, coef + stride + k, coef + 2 * stride + k, q.rows, c));
    else
        FOR_PIECES(backward_rows(diff_y + at, diff_dst + at, y + at, bn->mean + k, coef + k,
                                 coef + stride + k, coef + 2 * stride + k, q.rows, c));
    bw__exec_release(x, mark);
}

/* ---- with global average pooling behind ---- */

BW_INLINE void relu_pool_tile(float *h, const float *y, const float *a, const float *b, int64_t positions,
                              int64_t c, int64_t c0, const int W)
{
    float s[32] = { 0 }, scale = 1.0f / (float)positions;
    for (int64_t r = 0; r < positions; r++)
        for (int j = 0; j < W; j++)
            s[j] += relu(a[c0 + j] * y[r * c + c0 + j] + b[c0 + j]);
    for (int j = 0; j < W; j++)
        h[c0 + j] = s[j] * scale;
}

BW_CLONES static void relu_pool_image(float *h, const float *y, const float *a, const float *b,
                                      int64_t positions, int64_t c)
{
#define POOL(W) relu_pool_tile(h, y, a, b, positions, c, c0, W)
    FOR_TILES(c, POOL);
#undef POOL
}

void bw__bn_relu_pool_forward(const bw_bn *bn, bw_exec *x, float *h, const float *y, int64_t positions)
{
    int64_t c = bn->c, per_view = bn->rows / positions, images = bn->views * per_view;
    if (bw__exec_is_dry(x)) return;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t n = 0; n < images; n++) {
        int64_t k = n / per_view * c;
        relu_pool_image(h + n * c, y + n * positions * c, bn->a + k, bn->b + k, positions, c);
    }
}

/* Sums over one image's positive positions of 1 and of (y - mean). */
BW_INLINE void positive_tile(float *count, float *sum, const float *y, const float *mean, const float *a,
                             const float *b, int64_t positions, int64_t c, int64_t c0, const int W)
{
    float n[32] = { 0 }, s[32] = { 0 };
    for (int64_t r = 0; r < positions; r++)
        for (int j = 0; j < W; j++) {
            float v = y[r * c + c0 + j], on = a[c0 + j] * v + b[c0 + j] > 0.0f ? 1.0f : 0.0f;
            n[j] += on;
            s[j] += on * (v - mean[c0 + j]);
        }
    for (int j = 0; j < W; j++) {
        count[c0 + j] = n[j];
        sum[c0 + j] = s[j];
    }
}

BW_CLONES static void positive_sums(float *count, float *sum, const float *y, const float *mean,
                                    const float *a, const float *b, int64_t positions, int64_t c)
{
#define POSITIVE(W) positive_tile(count, sum, y, mean, a, b, positions, c, c0, W)
    FOR_TILES(c, POSITIVE);
#undef POSITIVE
}

BW_CLONES static void pool_backward_image(float *dy, const float *g, const float *y, const float *mean,
                                          const float *a, const float *b, const float *ca, const float *cb,
                                          const float *cc, int64_t positions, int64_t c)
{
    for (int64_t r = 0; r < positions; r++)
        for (int64_t i = 0; i < c; i++) {
            float v = y[r * c + i], d = a[i] * v + b[i] > 0.0f ? g[i] : 0.0f;
            dy[r * c + i] = ca[i] * d + cb[i] * (v - mean[i]) + cc[i];
        }
}

void bw__bn_relu_pool_backward(const bw_bn *bn, bw_exec *x, float *diff_y, float *diff_weight,
                               float *diff_bias, const float *diff_h, const float *y, const bw_bn_params *p,
                               int64_t positions)
{
    int64_t c = bn->c, per_view = bn->rows / positions, images = bn->views * per_view, stride = bn->views * c;
    size_t mark = bw__exec_mark(x);
    float *count = bw__exec_take_f32(x, images * c), *sum = bw__exec_take_f32(x, images * c);
    float *coef = bw__exec_take_f32(x, 3 * stride), *g = bw__exec_take_f32(x, images * c);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * c) * sizeof *sums);
    if (bw__exec_is_dry(x)) goto out;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t n = 0; n < images; n++) {
        int64_t k = n / per_view * c;
        positive_sums(count + n * c, sum + n * c, y + n * positions * c, bn->mean + k, bn->a + k, bn->b + k,
                      positions, c);
        for (int64_t i = 0; i < c; i++)
            g[n * c + i] = diff_h[n * c + i] / (float)positions;
    }
    for (int v = 0; v < bn->views; v++) {
        float *f = coef + v * c;
        memset(sums, 0, (size_t)(2 * c) * sizeof *sums);
        for (int64_t n = v * per_view; n < (v + 1) * per_view; n++)
            for (int64_t i = 0; i < c; i++) {
                sums[i] += (double)g[n * c + i] * (double)count[n * c + i];
                sums[c + i] += (double)g[n * c + i] * (double)sum[n * c + i];
            }
        backward_coefficients(bn, v, sums, p, f, f + stride, f + 2 * stride, diff_weight, diff_bias);
    }
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t n = 0; n < images; n++) {
        int64_t k = n / per_view * c, at = n * positions * c;
        pool_backward_image(diff_y + at, g + n * c, y + at, bn->mean + k, bn->a + k, bn->b + k, coef + k,
                            coef + stride + k, coef + 2 * stride + k, positions, c);
    }
out:
    bw__exec_release(x, mark);
}
