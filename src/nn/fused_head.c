#include "nn/fused_head.h"
#include "base/memory.h"
#include "nn/loops.h"
#include "nn/matmul.h"
#include <string.h>

/* Elements after each row of scratch, so that rows do not meet in the same cache sets (nn/matmul.h). */
#define PAD 16
/* Positions in one word of sign bits. */
#define GROUP 32
/* Rows of a tile: enough for the products to be efficient, few enough that it stays in cache. */
#define MIN_ROWS 384
#define MAX_ROWS 800
/* Channels that one thread takes at a time. */
#define CHANNELS 128

struct bw_fused_head {
    bw_fused_head_shape s;
    int64_t rows;   /* of a tile; what a tile lacks is filled with zeros */
    int64_t groups; /* words of sign bits for each image and channel */
    bw_matmul *expand, *covariance, *variance, *diff_weights, *diff_in, *curvature, *diff_in_centred;
    /* Of the running step, in the arena: */
    uint32_t *signs;      /* [images, groups, d] */
    float *count, *sum;   /* [images, d]: of positive z, and of y - mean over them */
    float *centre, *s_xx; /* [views, c]; [views, c, c + PAD] */
};

/* Tiles are whole images, or an image's positions in equal parts of whole groups. */
typedef struct tile {
    int view;
    int64_t image, images, position, positions, rows, at; /* at: first row within all views */
} tile;

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Rows of a tile such that as little as possible is filled up. */
static int64_t choose_rows(int64_t positions, int64_t images_per_view)
{
    int64_t best = 0, least = INT64_MAX;
    if (positions <= MAX_ROWS) {
        int64_t images = MAX_ROWS / positions;
        if (images > images_per_view) images = images_per_view;
        return images * positions;
    }
    for (int64_t parts = (positions + MAX_ROWS - 1) / MAX_ROWS; positions / parts >= MIN_ROWS; parts++) {
        int64_t rows = round_up((positions + parts - 1) / parts, GROUP);
        if (rows * parts < least) {
            least = rows * parts;
            best = rows;
        }
    }
    return best ? best : MAX_ROWS / GROUP * GROUP;
}

static int64_t tiles_per_view(const bw_fused_head *f)
{
    int64_t images = f->s.images / f->s.views, whole = f->rows / f->s.positions;
    if (f->s.positions <= f->rows) return (images + whole - 1) / whole;
    return images * ((f->s.positions + f->rows - 1) / f->rows);
}

static tile tile_at(const bw_fused_head *f, int64_t i)
{
    int64_t n = tiles_per_view(f), per_view = f->s.images / f->s.views, k = i % n;
    tile t = { .view = (int)(i / n) };
    if (f->s.positions <= f->rows) {
        int64_t whole = f->rows / f->s.positions;
        t.image = k * whole;
        t.images = per_view - t.image < whole ? per_view - t.image : whole;
        t.positions = f->s.positions;
    } else {
        int64_t parts = (f->s.positions + f->rows - 1) / f->rows;
        t.image = k / parts;
        t.images = 1;
        t.position = k % parts * f->rows;
        t.positions = f->s.positions - t.position < f->rows ? f->s.positions - t.position : f->rows;
    }
    t.image += t.view * per_view;
    t.rows = t.images * t.positions;
    t.at = t.image * f->s.positions + t.position;
    return t;
}

bw_status bw__fused_head_create(bw_fused_head **out, bw_exec *x, const bw_fused_head_shape *s)
{
    bw_status st = BW_OK;
    bw_fused_head *f = NULL;
    const int64_t c = s->c, d = s->d, lc = c + PAD, ld = d + PAD;
    *out = NULL;
    BW_TRY(BW_ALLOC(&f, 1));
    f->s = *s;
    f->rows = choose_rows(s->positions, s->images / s->views);
    f->groups = (s->positions + GROUP - 1) / GROUP;
    const int64_t r = f->rows;
    const bw_matmul_shape expand = {
        .m = r, .n = d, .k = c, .lda = lc, .ldb = lc, .ldc = ld, .transpose_b = true, .type = s->type
    };
    const bw_matmul_shape covariance = { .m = c,
                                         .n = c,
                                         .k = r,
                                         .lda = lc,
                                         .ldb = lc,
                                         .ldc = lc,
                                         .transpose_a = true,
                                         .accumulate = true,
                                         .type = s->type };
    const bw_matmul_shape variance = { .m = d, .n = c, .k = c, .lda = lc, .ldb = lc, .ldc = lc };
    const bw_matmul_shape diff_weights = { .m = d,
                                           .n = c,
                                           .k = r,
                                           .lda = ld,
                                           .ldb = lc,
                                           .ldc = lc,
                                           .transpose_a = true,
                                           .accumulate = true,
                                           .type = s->type };
    const bw_matmul_shape diff_in = {
        .m = r, .n = c, .k = d, .lda = ld, .ldb = lc, .ldc = lc, .type = s->type
    };
    const bw_matmul_shape curvature = {
        .m = c, .n = c, .k = d, .lda = lc, .ldb = lc, .ldc = lc, .transpose_a = true
    };
    const bw_matmul_shape diff_in_centred = {
        .m = r, .n = c, .k = c, .lda = lc, .ldb = lc, .ldc = lc, .accumulate = true, .type = s->type
    };
    BW_TRY(bw__matmul_create(&f->expand, x, &expand));
    if (s->training) {
        BW_TRY(bw__matmul_create(&f->covariance, x, &covariance));
        BW_TRY(bw__matmul_create(&f->variance, x, &variance));
        BW_TRY(bw__matmul_create(&f->diff_weights, x, &diff_weights));
        BW_TRY(bw__matmul_create(&f->diff_in, x, &diff_in));
        BW_TRY(bw__matmul_create(&f->curvature, x, &curvature));
        BW_TRY(bw__matmul_create(&f->diff_in_centred, x, &diff_in_centred));
    }
    *out = f;
    f = NULL;
out:
    bw__fused_head_free(f);
    return st;
}

void bw__fused_head_free(bw_fused_head *f)
{
    if (!f) return;
    bw__matmul_free(f->expand);
    bw__matmul_free(f->covariance);
    bw__matmul_free(f->variance);
    bw__matmul_free(f->diff_weights);
    bw__matmul_free(f->diff_in);
    bw__matmul_free(f->curvature);
    bw__matmul_free(f->diff_in_centred);
    bw__free(f);
}

/* ---- operands of the products, in scratch with padded rows ---- */

static void *take_rows(bw_exec *x, bw_type type, int64_t rows, int64_t columns)
{
    return bw__arena_take(&x->arena, x->side, (size_t)(rows * (columns + PAD)) * bw__type_size(type));
}

/* [rows, columns] of f32 to padded rows of `type`. */
static void *padded_copy(bw_exec *x, bw_type type, const float *src, int64_t rows, int64_t columns)
{
    void *dst = take_rows(x, type, rows, columns);
    if (!bw__exec_is_dry(x))
        for (int64_t i = 0; i < rows; i++)
            bw__loops()->from_f32(type, bw__at(type, dst, i * (columns + PAD)), src + i * columns, columns);
    return dst;
}

/* The tile's input less its centre; rows behind the tile's are 0. */
static void centre_tile(const bw_fused_head *f, bw_exec *x, void *dst, const void *in, const tile *t,
                        const float *centre)
{
    const bw_loops *loops = bw__loops();
    const int64_t c = f->s.c, ld = c + PAD;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t r = 0; r < f->rows; r += GROUP) {
        int64_t n = f->rows - r < GROUP ? f->rows - r : GROUP, real = t->rows - r < n ? t->rows - r : n;
        void *to = bw__at(f->s.type, dst, r * ld);
        if (real < 0) real = 0;
        loops->subtract_row(f->s.type, to, ld, bw__const_at(f->s.type, in, (t->at + r) * c), centre, real, c);
        memset(bw__at(f->s.type, to, real * ld), 0, (size_t)((n - real) * ld) * bw__type_size(f->s.type));
    }
}

/* ---- statistics ---- */

/* Mean of each input channel over one view of this rank; `partial` [images of a view, 2 c]. */
static void find_centre(const bw_fused_head *f, bw_exec *x, int view, const void *in, double *partial)
{
    const bw_loops *loops = bw__loops();
    const int64_t c = f->s.c, n = f->s.images / f->s.views, first = view * n * f->s.positions;
    float *centre = f->centre + view * c;
    loops->to_f32(f->s.type, centre, bw__const_at(f->s.type, in, first * c), c);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i++) {
        double *s = partial + i * 2 * c;
        memset(s, 0, (size_t)(2 * c) * sizeof *s);
        loops->moments(f->s.type, s, s + c, bw__const_at(f->s.type, in, (first + i * f->s.positions) * c),
                       centre, f->s.positions, c);
    }
    for (int64_t j = 0; j < c; j++) {
        double sum = 0.0;
        for (int64_t i = 0; i < n; i++)
            sum += partial[i * 2 * c + j];
        centre[j] = (float)((double)centre[j] + sum / (double)(n * f->s.positions));
    }
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* moments [2, views, d] become mean and variance over all ranks' positions, and S is moved from the centre of
 * this rank's to that of all; `sums` is [views, c + d]. With delta = own centre - that of all:
 *
 *     var = mean over ranks of (own var + own mean^2) - mean^2   (safe as in bw__exec_join_moments())
 *     S  += M delta delta^T */
static void join_ranks(bw_fused_head *f, bw_exec *x, double *moments, double *sums, const float *w)
{
    const int64_t c = f->s.c, d = f->s.d, lc = c + PAD, all = f->s.views * d;
    const double ranks = (double)bw__exec_ranks(x);
    const double rows = (double)(f->s.images / f->s.views * f->s.positions);
    for (int v = 0; v < f->s.views; v++) {
        double *s = sums + v * (c + d);
        for (int64_t j = 0; j < c; j++)
            s[j] = (double)f->centre[v * c + j];
        for (int64_t i = 0; i < d; i++)
            s[c + i] = moments[all + v * d + i] + moments[v * d + i] * moments[v * d + i];
    }
    bw__exec_sum_f64(x, sums, f->s.views * (c + d));
    for (int v = 0; v < f->s.views; v++) {
        double *s = sums + v * (c + d), *mean = moments + v * d;
        float *s_xx = f->s_xx + v * c * lc, *centre = f->centre + v * c;
        for (int64_t j = 0; j < c + d; j++)
            s[j] /= ranks;
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < d; i++) {
            double sum = 0.0;
            for (int64_t j = 0; j < c; j++)
                sum += (double)w[i * lc + j] * s[j];
            mean[i] = sum;
            mean[all + i] = s[c + i] - sum * sum;
        }
        for (int64_t j = 0; j < c; j++)
            s[j] = (double)centre[j] - s[j]; /* delta */
        for (int64_t j = 0; j < c; j++)
            for (int64_t k = 0; k < c; k++)
                s_xx[j * lc + k] += (float)(rows * s[j] * s[k]);
        for (int64_t j = 0; j < c; j++)
            centre[j] = (float)((double)centre[j] - s[j]);
    }
}

/* Mean and variance of y for every view, from the input alone. */
static bw_status take_statistics(bw_fused_head *f, bw_exec *x, bw_bn *bn, const bw_bn_params *p,
                                 const void *in, const float *weights)
{
    bw_status st = BW_OK;
    const int64_t c = f->s.c, d = f->s.d, lc = c + PAD, n = f->s.images / f->s.views;
    const bool dry = bw__exec_is_dry(x);
    size_t mark = bw__exec_mark(x);
    double *partial = bw__arena_take(&x->arena, x->side, (size_t)(n * 2 * c) * sizeof *partial);
    const int64_t all = f->s.views * d;
    double *moments = bw__arena_take(&x->arena, x->side, (size_t)(2 * all) * sizeof *moments), *sums = NULL;
    if (bw__exec_ranks(x) > 1)
        sums = bw__arena_take(&x->arena, x->side, (size_t)(f->s.views * (c + d)) * sizeof *sums);
    void *centred = take_rows(x, f->s.type, f->rows, c);
    float *w = padded_copy(x, BW_F32, weights, d, c), *ws = take_rows(x, BW_F32, d, c);
    for (int v = 0; v < f->s.views; v++) {
        float *s = f->s_xx + v * c * lc, *centre = f->centre + v * c;
        if (!dry) {
            find_centre(f, x, v, in, partial);
            memset(s, 0, (size_t)(c * lc) * sizeof *s);
        }
        for (int64_t i = v * tiles_per_view(f); i < (v + 1) * tiles_per_view(f); i++) {
            tile t = tile_at(f, i);
            if (!dry) centre_tile(f, x, centred, in, &t, centre);
            BW_TRY(bw__matmul_run(f->covariance, x, s, centred, centred));
            if (dry) break;
        }
        BW_TRY(bw__matmul_run(f->variance, x, ws, w, s));
        if (dry) continue;
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < d; i++) {
            moments[all + v * d + i] = dot(ws + i * lc, w + i * lc, c) / (double)bn->rows;
            moments[v * d + i] = dot(w + i * lc, centre, c);
        }
    }
    if (dry) goto out;
    if (sums) join_ranks(f, x, moments, sums, w);
    bw__bn_set_statistics(bn, x, moments, p);
out:
    bw__exec_release(x, mark);
    return st;
}

/* ---- forward ---- */

/* Adds one tile to h, count and sum of its images, and sets its sign bits. Each thread has channels of its
 * own, so that nothing is added by two. */
static void pool_tile(const bw_fused_head *f, bw_exec *x, float *h, const float *y, const tile *t,
                      const float *a, const float *b)
{
    const bw_loops *loops = bw__loops();
    const int64_t d = f->s.d, ld = d + PAD;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t k = 0; k < d; k += CHANNELS) {
        int64_t n = d - k < CHANNELS ? d - k : CHANNELS;
        for (int64_t i = 0; i < t->images; i++) {
            int64_t image = t->image + i, at = image * d + k;
            if (t->position == 0) memset(h + at, 0, (size_t)n * sizeof *h);
            if (t->position == 0 && f->s.training) {
                memset(f->count + at, 0, (size_t)n * sizeof *f->count);
                memset(f->sum + at, 0, (size_t)n * sizeof *f->sum);
            }
            for (int64_t r = 0; r < t->positions; r += GROUP) {
                int64_t rows = t->positions - r < GROUP ? t->positions - r : GROUP;
                int64_t group = image * f->groups + (t->position + r) / GROUP;
                const float *tile_y = y + (i * t->positions + r) * ld + k;
                if (f->s.training)
                    loops->relu_sums(h + at, f->count + at, f->sum + at, f->signs + group * d + k, tile_y, ld,
                                     a + k, b + k, rows, n);
                else
                    loops->relu_sums(h + at, NULL, NULL, NULL, tile_y, ld, a + k, b + k, rows, n);
            }
            if (t->position + t->positions == f->s.positions)
                for (int64_t j = 0; j < n; j++)
                    h[at + j] /= (float)f->s.positions;
        }
    }
}

static void take_saved(bw_fused_head *f, bw_exec *x)
{
    const bw_fused_head_shape *s = &f->s;
    f->signs = bw__arena_take(&x->arena, x->side, (size_t)(s->images * f->groups * s->d) * sizeof *f->signs);
    f->count = bw__exec_take_f32(x, s->images * s->d);
    f->sum = bw__exec_take_f32(x, s->images * s->d);
    f->s_xx = bw__exec_take_f32(x, s->views * s->c * (s->c + PAD));
}

bw_status bw__fused_head_forward(bw_fused_head *f, bw_exec *x, bw_bn *bn, const bw_bn_params *p, float *h,
                                 const void *in, const float *weights)
{
    bw_status st = BW_OK;
    const int64_t c = f->s.c, d = f->s.d, tiles = f->s.views * tiles_per_view(f);
    size_t all = bw__exec_mark(x);
    if (f->s.training) take_saved(f, x);
    f->centre = bw__exec_take_f32(x, f->s.views * c);
    size_t saved = bw__exec_mark(x);
    if (f->s.training)
        BW_TRY(take_statistics(f, x, bn, p, in, weights));
    else if (!bw__exec_is_dry(x))
        memset(f->centre, 0, (size_t)(f->s.views * c) * sizeof *f->centre);
    void *w = padded_copy(x, f->s.type, weights, d, c), *centred = take_rows(x, f->s.type, f->rows, c);
    float *y = take_rows(x, BW_F32, f->rows, d);
    for (int64_t i = 0; i < tiles; i++) {
        tile t = tile_at(f, i);
        /* Centred input gives y - mean, to which batch norm adds its bias alone. */
        const float *b = f->s.training ? p->bias : bn->b + t.view * d;
        if (!bw__exec_is_dry(x)) centre_tile(f, x, centred, in, &t, f->centre + t.view * c);
        BW_TRY(bw__matmul_run(f->expand, x, y, centred, w));
        if (bw__exec_is_dry(x)) break;
        pool_tile(f, x, h, y, &t, bn->a + t.view * d, b);
    }
out:
    bw__exec_release(x, f->s.training ? saved : all);
    return st;
}

/* ---- backward ---- */

/* a g [z > 0] of one tile, with slope = a g [images, d]; rows behind the tile's are 0. */
static void mask_tile(const bw_fused_head *f, bw_exec *x, void *dst, const float *slope, const tile *t)
{
    const bw_loops *loops = bw__loops();
    const int64_t d = f->s.d, ld = d + PAD, per_image = (t->positions + GROUP - 1) / GROUP;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < t->images * per_image; i++) {
        int64_t image = t->image + i / per_image, r = i % per_image * GROUP;
        int64_t rows = t->positions - r < GROUP ? t->positions - r : GROUP;
        int64_t group = image * f->groups + (t->position + r) / GROUP;
        int64_t at = (i / per_image * t->positions + r) * ld;
        loops->expand_signs(f->s.type, bw__at(f->s.type, dst, at), ld, f->signs + group * d,
                            slope + image * d, rows, d);
    }
    memset(bw__at(f->s.type, dst, t->rows * ld), 0,
           (size_t)((f->rows - t->rows) * ld) * bw__type_size(f->s.type));
}

/* Batch norm's coefficients coef [3, views, d], from the kept sums; slope [images, d] = a g. */
static void find_slopes(const bw_fused_head *f, bw_exec *x, const bw_bn *bn, const bw_bn_params *p,
                        float *slope, float *coef, double *sums, float *diff_bn_weight, float *diff_bn_bias,
                        const float *diff_h)
{
    const int64_t d = f->s.d, n = f->s.images / f->s.views;
    memset(sums, 0, (size_t)(2 * f->s.views * d) * sizeof *sums);
    for (int64_t i = 0; i < f->s.images; i++) {
        double *of_g = sums + i / n * d, *of_gy = of_g + f->s.views * d;
        for (int64_t j = 0; j < d; j++) {
            double g = (double)diff_h[i * d + j] / (double)f->s.positions;
            of_g[j] += g * (double)f->count[i * d + j];
            of_gy[j] += g * (double)f->sum[i * d + j];
        }
    }
    bw__bn_backward_coefficients(bn, x, sums, p, coef, diff_bn_weight, diff_bn_bias);
    for (int64_t i = 0; i < f->s.images; i++)
        for (int64_t j = 0; j < d; j++)
            slope[i * d + j] = coef[i / n * d + j] * (diff_h[i * d + j] / (float)f->s.positions);
}

/* What is the same for all positions of a view: curvature = W^T diag(by_y) W (typed for its product with the
 * input), constant = W^T offset; and dW += diag(by_y) W S. */
static bw_status add_dense_terms(bw_fused_head *f, bw_exec *x, int view, void *curvature, float *constant,
                                 float *diff_weights, const float *w, const float *by_y, const float *offset)
{
    bw_status st = BW_OK;
    const int64_t c = f->s.c, d = f->s.d, lc = c + PAD;
    const bool dry = bw__exec_is_dry(x);
    size_t mark = bw__exec_mark(x);
    float *scratch = take_rows(x, BW_F32, d, c), *product = take_rows(x, BW_F32, c, c);
    double *sum = bw__arena_take(&x->arena, x->side, (size_t)c * sizeof *sum);
    BW_TRY(bw__matmul_run(f->variance, x, scratch, w, f->s_xx + view * c * lc));
    if (!dry) {
        memset(sum, 0, (size_t)c * sizeof *sum);
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < c; j++) {
                diff_weights[i * lc + j] += by_y[i] * scratch[i * lc + j];
                sum[j] += (double)offset[i] * (double)w[i * lc + j];
                scratch[i * lc + j] = by_y[i] * w[i * lc + j];
            }
        for (int64_t j = 0; j < c; j++)
            constant[j] = (float)sum[j];
    }
    BW_TRY(bw__matmul_run(f->curvature, x, product, scratch, w));
    if (!dry) bw__loops()->from_f32(f->s.type, curvature, product, c * lc - PAD);
out:
    bw__exec_release(x, mark);
    return st;
}

static void finish_tile(const bw_fused_head *f, bw_exec *x, void *diff_in, const float *sums, const tile *t,
                        const float *constant)
{
    const bw_loops *loops = bw__loops();
    const int64_t c = f->s.c;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t r = 0; r < t->rows; r += GROUP)
        loops->add_row(f->s.type, bw__at(f->s.type, diff_in, (t->at + r) * c), sums + r * (c + PAD), c + PAD,
                       constant, t->rows - r < GROUP ? t->rows - r : GROUP, c);
}

bw_status bw__fused_head_backward(bw_fused_head *f, bw_exec *x, const bw_bn *bn, const bw_bn_params *p,
                                  void *diff_in, float *diff_weights, float *diff_bn_weight,
                                  float *diff_bn_bias, const float *diff_h, const void *in,
                                  const float *weights)
{
    bw_status st = BW_OK;
    const int64_t c = f->s.c, d = f->s.d, lc = c + PAD;
    const int views = f->s.views;
    const bool dry = bw__exec_is_dry(x);
    size_t mark = bw__exec_mark(x);
    float *slope = bw__exec_take_f32(x, f->s.images * d), *coef = bw__exec_take_f32(x, 3 * views * d),
          *constant = bw__exec_take_f32(x, c);
    double *sums = bw__arena_take(&x->arena, x->side, (size_t)(2 * views * d) * sizeof *sums);
    const float *by_y = coef + views * d, *offset = coef + 2 * views * d;
    float *w = padded_copy(x, BW_F32, weights, d, c), *dw = take_rows(x, BW_F32, d, c);
    void *w_typed = f->s.type == BW_F32 ? w : padded_copy(x, f->s.type, weights, d, c);
    void *curvature = take_rows(x, f->s.type, c, c), *centred = take_rows(x, f->s.type, f->rows, c);
    void *masked = take_rows(x, f->s.type, f->rows, d);
    float *dx = take_rows(x, BW_F32, f->rows, c);
    if (!dry) {
        memset(dw, 0, (size_t)(d * lc) * sizeof *dw);
        find_slopes(f, x, bn, p, slope, coef, sums, diff_bn_weight, diff_bn_bias, diff_h);
    }
    for (int64_t i = 0; i < views * tiles_per_view(f); i++) {
        tile t = tile_at(f, i);
        if (i % tiles_per_view(f) == 0)
            BW_TRY(add_dense_terms(f, x, t.view, curvature, constant, dw, w, by_y + t.view * d,
                                   offset + t.view * d));
        if (!dry) {
            centre_tile(f, x, centred, in, &t, f->centre + t.view * c);
            mask_tile(f, x, masked, slope, &t);
        }
        BW_TRY(bw__matmul_run(f->diff_weights, x, dw, masked, centred));
        BW_TRY(bw__matmul_run(f->diff_in, x, dx, masked, w_typed));
        BW_TRY(bw__matmul_run(f->diff_in_centred, x, dx, centred, curvature));
        if (dry) break;
        finish_tile(f, x, diff_in, dx, &t, constant);
    }
    for (int64_t i = 0; i < d && !dry; i++)
        memcpy(diff_weights + i * c, dw + i * lc, (size_t)c * sizeof *dw);
out:
    bw__exec_release(x, mark);
    return st;
}
