#include "nn/gemm_conv.h"
#include "nn/matmul.h"
#include <omp.h>
#include <string.h>

/* Floats after each row of scratch: one cache line. */
#define PAD 16
/* A tile's operands should stay in a core's second-level cache; more rows than that bring nothing. */
#define TILE_FLOATS (192 * 1024)
#define MAX_ROWS    784

static bool row_needs_padding(int64_t floats)
{
    return floats % 512 == 0;
}

/* ---- patches ---- */

/* The image a patch is cut from, and how: input row of output row oy and tap kh is oy * stride - pad + kh. */
typedef struct patches {
    const float *src;
    int64_t h, w, c, out_h, out_w;
    int kernel, stride, pad;
} patches;

static int64_t patch_length(const patches *p)
{
    return (int64_t)p->kernel * p->kernel * p->c;
}

/* Copies floats [from, to) of one row of taps (kernel * c floats beginning at input column ix), zeros outside
 * of the image. */
static void copy_taps(float *dst, const float *row, int64_t ix, int64_t w, int64_t c, int64_t from,
                      int64_t to)
{
    int64_t first = -ix * c, last = (w - ix) * c; /* what of it lies in the image */
    if (first < from) first = from;
    if (last > to) last = to;
    if (last <= first) {
        memset(dst, 0, (size_t)(to - from) * sizeof *dst);
        return;
    }
    if (first > from) memset(dst, 0, (size_t)(first - from) * sizeof *dst);
    memcpy(dst + (first - from), row + ix * c + first, (size_t)(last - first) * sizeof *dst);
    if (last < to) memset(dst + (last - from), 0, (size_t)(to - last) * sizeof *dst);
}

/* Floats [k0, k1) of the patches of `count` neighbouring positions of one output row, from column ox on. A
 * row of taps at a time, so that everything but the column is the same in the inner loop. */
static void cut_row(const patches *p, float *dst, int64_t ld, const float *image, int64_t oy, int64_t ox,
                    int64_t count, int64_t k0, int64_t k1)
{
    const int64_t taps = p->kernel * p->c;
    for (int64_t kh = k0 / taps; kh * taps < k1; kh++) {
        int64_t iy = oy * p->stride - p->pad + kh, ix = ox * p->stride - p->pad;
        int64_t from = kh * taps < k0 ? k0 - kh * taps : 0;
        int64_t to = (kh + 1) * taps > k1 ? k1 - kh * taps : taps;
        float *to_row = dst + kh * taps + from - k0;
        const float *row = image + iy * p->w * p->c;
        const bool inside = iy >= 0 && iy < p->h;
        for (int64_t i = 0; i < count; i++, ix += p->stride, to_row += ld) {
            if (!inside)
                memset(to_row, 0, (size_t)(to - from) * sizeof *dst);
            else if (ix >= 0 && ix + p->kernel <= p->w)
                memcpy(to_row, row + ix * p->c + from, (size_t)(to - from) * sizeof *dst);
            else
                copy_taps(to_row, row, ix, p->w, p->c, from, to);
        }
    }
}

/* Floats [k0, k1) of the patches of `count` output positions from `first` on, counted through all images;
 * dst has rows of `ld`. */
static void cut_patches(const patches *p, float *dst, int64_t ld, int64_t first, int64_t count, int64_t k0,
                        int64_t k1)
{
    const int64_t per_image = p->out_h * p->out_w;
    for (int64_t i = 0; i < count;) {
        int64_t at = first + i, image = at / per_image, oy = at % per_image / p->out_w, ox = at % p->out_w;
        int64_t n = p->out_w - ox < count - i ? p->out_w - ox : count - i;
        cut_row(p, dst + i * ld, ld, p->src + image * p->h * p->w * p->c, oy, ox, n, k0, k1);
        i += n;
    }
}

static bool patches_are_rows(const patches *p)
{
    return p->kernel == 1 && p->stride == 1 && p->pad == 0;
}

static patches patches_of_input(const bw_conv_shape *s, const float *src)
{
    return (patches){ .src = src,
                      .h = s->h,
                      .w = s->w,
                      .c = s->ic,
                      .out_h = bw__conv_out(s->h, s->kernel, s->stride, s->pad),
                      .out_w = bw__conv_out(s->w, s->kernel, s->stride, s->pad),
                      .kernel = s->kernel,
                      .stride = s->stride,
                      .pad = s->pad };
}

/* ---- products with patches: dst [positions, n] = col [positions, K] b [K, n] ---- */

/* Rows of a tile whose operands have `row` floats a row. */
static int64_t tile_rows(int64_t row, int64_t fair)
{
    int64_t n = TILE_FLOATS / row / 8 * 8;
    if (n > MAX_ROWS) n = MAX_ROWS;
    if (n > fair) n = fair;
    return n < 48 ? 48 : n;
}

static bw_status multiply_patches(const patches *p, bw_exec *x, float *dst, const float *b, int64_t n,
                                  int64_t positions)
{
    int64_t k = patch_length(p), ld = k + PAD, rows;
    /* Enough tiles that no thread waits long for the last. */
    rows = tile_rows(k + n, (positions + 4 * x->threads - 1) / (4 * x->threads));
    int64_t tiles = (positions + rows - 1) / rows;
    size_t mark = bw__exec_mark(x);
    bool direct = patches_are_rows(p);
    float *col = direct ? NULL : bw__exec_take_f32(x, x->threads * rows * ld);
    int failed = 0;
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(dynamic) num_threads(x->threads) reduction(| : failed)
        for (int64_t t = 0; t < tiles; t++) {
            int64_t first = t * rows, count = positions - first < rows ? positions - first : rows;
            const float *a = p->src + first * k;
            int64_t lda = k;
            if (!direct) {
                float *mine = col + omp_get_thread_num() * rows * ld;
                cut_patches(p, mine, ld, first, count, 0, k);
                a = mine;
                lda = ld;
            }
            failed |=
                bw__sgemm(false, false, count, n, k, a, lda, b, n + PAD, false, dst + first * n, n) != BW_OK;
        }
    }
    bw__exec_release(x, mark);
    return failed ? bw_fail(BW_EKERNEL, "oneDNN failed in a product of a convolution's tile") : BW_OK;
}

bw_status bw__gemm_conv_forward(const bw_conv_shape *s, bw_exec *x, float *dst, const float *src,
                                const float *weights)
{
    patches p = patches_of_input(s, src);
    int64_t taps = (int64_t)s->kernel * s->kernel, k = taps * s->ic, ld = s->oc + PAD;
    size_t mark = bw__exec_mark(x);
    float *b = bw__exec_take_f32(x, k * ld);
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < k; i++)
            for (int64_t o = 0; o < s->oc; o++)
                b[i * ld + o] = weights[(o * s->ic + i % s->ic) * taps + i / s->ic];
    }
    bw_status st = multiply_patches(&p, x, dst, b, s->oc, s->n * p.out_h * p.out_w);
    bw__exec_release(x, mark);
    return st;
}

bw_status bw__gemm_conv_backward_data(const bw_conv_shape *s, bw_exec *x, float *diff_src,
                                      const float *diff_dst, const float *weights)
{
    int64_t taps = (int64_t)s->kernel * s->kernel, k = taps * s->oc, ld = s->ic + PAD;
    patches p = { .src = diff_dst,
                  .h = bw__conv_out(s->h, s->kernel, 1, s->pad),
                  .w = bw__conv_out(s->w, s->kernel, 1, s->pad),
                  .c = s->oc,
                  .out_h = s->h,
                  .out_w = s->w,
                  .kernel = s->kernel,
                  .stride = 1,
                  .pad = s->kernel - 1 - s->pad };
    BW_ASSERT(s->stride == 1);
    size_t mark = bw__exec_mark(x);
    float *b = bw__exec_take_f32(x, k * ld);
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < k; i++) {
            const float *w = weights + i % s->oc * s->ic * taps + (taps - 1 - i / s->oc);
            for (int64_t c = 0; c < s->ic; c++)
                b[i * ld + c] = w[c * taps];
        }
    }
    bw_status st = multiply_patches(&p, x, diff_src, b, s->ic, s->n * s->h * s->w);
    bw__exec_release(x, mark);
    return st;
}

/* ---- gradient of the weights ---- */

/* How many parts the K rows and the oc columns of dW are cut into: one part for each thread, and together as
 * few floats copied as possible. */
static void cut_gradient(int64_t k, int64_t n, int threads, int64_t *k_parts, int64_t *n_parts)
{
    int64_t best = INT64_MAX;
    for (int64_t i = 1; i <= threads; i++) {
        int64_t j = threads / i, cost = (k + i - 1) / i + (n + j - 1) / j;
        if (i * j == threads && cost < best) {
            best = cost;
            *k_parts = i;
            *n_parts = j;
        }
    }
}

bw_status bw__gemm_conv_backward_weights(const bw_conv_shape *s, bw_exec *x, float *diff_weights,
                                         const float *src, const float *diff_dst)
{
    patches p = patches_of_input(s, src);
    int64_t taps = (int64_t)s->kernel * s->kernel, k = taps * s->ic, n = s->oc, k_parts = 1, n_parts = 1;
    int64_t positions = s->n * p.out_h * p.out_w;
    cut_gradient(k, n, x->threads, &k_parts, &n_parts);
    int64_t k_most = (k + k_parts - 1) / k_parts, n_most = (n + n_parts - 1) / n_parts;
    int64_t lda = k_most + PAD, ldb = n_most + PAD, ldc = n + PAD;
    int64_t rows = tile_rows(k_most + n_most, positions);
    size_t mark = bw__exec_mark(x);
    float *c = bw__exec_take_f32(x, k * ldc),
          *scratch = bw__exec_take_f32(x, x->threads * rows * (lda + ldb));
    bool a_is_src = patches_are_rows(&p) && !row_needs_padding(k), b_is_diff = !row_needs_padding(n);
    int failed = 0;
    if (bw__exec_is_dry(x)) goto out;
#pragma omp parallel for schedule(static, 1) num_threads(x->threads) reduction(| : failed)
    for (int64_t part = 0; part < k_parts * n_parts; part++) {
        int64_t k0 = part / n_parts * k_most, k1 = k0 + k_most < k ? k0 + k_most : k;
        int64_t n0 = part % n_parts * n_most, n1 = n0 + n_most < n ? n0 + n_most : n;
        float *a = scratch + omp_get_thread_num() * rows * (lda + ldb), *b = a + rows * lda;
        if (k0 >= k1 || n0 >= n1) continue;
        for (int64_t first = 0; first < positions; first += rows) {
            int64_t count = positions - first < rows ? positions - first : rows;
            const float *left = a, *right = b;
            if (a_is_src)
                left = src + first * k + k0;
            else
                cut_patches(&p, a, lda, first, count, k0, k1);
            if (b_is_diff)
                right = diff_dst + first * n + n0;
            else
                for (int64_t i = 0; i < count; i++)
                    memcpy(b + i * ldb, diff_dst + (first + i) * n + n0, (size_t)(n1 - n0) * sizeof *b);
            failed |= bw__sgemm(true, false, k1 - k0, n1 - n0, count, left, a_is_src ? k : lda, right,
                                b_is_diff ? n : ldb, first > 0, c + k0 * ldc + n0, ldc) != BW_OK;
        }
    }
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t o = 0; o < n; o++)
        for (int64_t i = 0; i < k; i++)
            diff_weights[(o * s->ic + i % s->ic) * taps + i / s->ic] = c[i * ldc + o];
out:
    bw__exec_release(x, mark);
    return failed ? bw_fail(BW_EKERNEL, "oneDNN failed in a product of a convolution's tile") : BW_OK;
}
