#include "nn/pool.h"
#include "nn/loops.h"
#include <string.h>

static void max_pool_row(bw_type type, void *dst, uint8_t *where, const void *src, int64_t oy, int64_t h,
                         int64_t w, int64_t c)
{
    int64_t ow = bw__max_pool_out(w);
    for (int64_t ox = 0; ox < ow; ox++) {
        const void *from[9];
        uint8_t tap[9];
        int n = 0;
        for (int64_t k = 0; k < 9; k++) {
            int64_t iy = 2 * oy - 1 + k / 3, ix = 2 * ox - 1 + k % 3;
            if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
            from[n] = bw__const_at(type, src, (iy * w + ix) * c);
            tap[n++] = (uint8_t)k;
        }
        bw__loops()->max_window(type, bw__at(type, dst, ox * c), where + ox * c, from, tap, n, c);
    }
}

void bw__max_pool_forward(bw_exec *x, bw_type type, void *dst, uint8_t *where, const void *src, int64_t n,
                          int64_t h, int64_t w, int64_t c)
{
    int64_t oh = bw__max_pool_out(h), ow = bw__max_pool_out(w);
    size_t mark = bw__exec_mark(x);
    double begin = bw__profile_begin(x);
    if (!where) where = bw__arena_take(&x->arena, x->side, (size_t)(n * oh * ow * c));
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t r = 0; r < n * oh; r++)
            max_pool_row(type, bw__at(type, dst, r * ow * c), where + r * ow * c,
                         bw__const_at(type, src, r / oh * h * w * c), r % oh, h, w, c);
    }
    bw__exec_release(x, mark);
    bw__profile_end(x, begin, "max pool", "forward", 0);
}

/* Row iy of diff_src: a position lies in one or two windows each way, those with 2 o - 1 <= i <= 2 o + 1. */
static void max_pool_backward_row(bw_type type, void *diff_src, const void *diff_dst, const uint8_t *where,
                                  int64_t iy, int64_t h, int64_t w, int64_t c)
{
    int64_t oh = bw__max_pool_out(h), ow = bw__max_pool_out(w);
    for (int64_t ix = 0; ix < w; ix++) {
        const void *from[4];
        const uint8_t *won[4];
        uint8_t tap[4];
        int n = 0;
        for (int64_t oy = iy / 2; oy <= (iy + 1) / 2 && oy < oh; oy++)
            for (int64_t ox = ix / 2; ox <= (ix + 1) / 2 && ox < ow; ox++) {
                int64_t at = (oy * ow + ox) * c;
                from[n] = bw__const_at(type, diff_dst, at);
                won[n] = where + at;
                tap[n++] = (uint8_t)((iy - 2 * oy + 1) * 3 + ix - 2 * ox + 1);
            }
        bw__loops()->max_gather(type, bw__at(type, diff_src, ix * c), from, won, tap, n, c);
    }
}

void bw__max_pool_backward(bw_exec *x, bw_type type, void *diff_src, const void *diff_dst,
                           const uint8_t *where, int64_t n, int64_t h, int64_t w, int64_t c)
{
    int64_t out = bw__max_pool_out(h) * bw__max_pool_out(w) * c;
    if (bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin(x);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t r = 0; r < n * h; r++)
        max_pool_backward_row(type, bw__at(type, diff_src, r * w * c),
                              bw__const_at(type, diff_dst, r / h * out), where + r / h * out, r % h, h, w, c);
    bw__profile_end(x, begin, "max pool", "backward", 0);
}

void bw__gsp_forward(bw_exec *x, bw_type type, float *dst, const void *src, int64_t n, int64_t positions,
                     int64_t c)
{
    if (bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin(x);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i++)
        bw__loops()->mean_rows(type, dst + i * c, bw__const_at(type, src, i * positions * c), positions, c);
    bw__profile_end(x, begin, "average pool", "forward", 0);
}

void bw__gsp_backward(bw_exec *x, bw_type type, void *diff_src, const float *diff_dst, int64_t n,
                      int64_t positions, int64_t c)
{
    if (bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin(x);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i++)
        bw__loops()->spread_rows(type, bw__at(type, diff_src, i * positions * c), diff_dst + i * c, positions,
                                 c);
    bw__profile_end(x, begin, "average pool", "backward", 0);
}

typedef struct range {
    int64_t begin, end;
} range;

static range cell_range(int64_t i, int64_t cells, int64_t size)
{
    return (range){ i * size / cells, ((i + 1) * size + cells - 1) / cells };
}

/* Mean of one cell of one image; row [c] is scratch. */
static void cell_mean(const bw_lsp_shape *s, float *mean, float *row, const void *src, range y, range x)
{
    const float scale = 1.0f / (float)(y.end - y.begin);
    memset(mean, 0, (size_t)s->c * sizeof *mean);
    for (int64_t iy = y.begin; iy < y.end; iy++) {
        bw__loops()->mean_rows(s->type, row, bw__const_at(s->type, src, (iy * s->w + x.begin) * s->c),
                               x.end - x.begin, s->c);
        for (int64_t i = 0; i < s->c; i++)
            mean[i] += row[i];
    }
    for (int64_t i = 0; i < s->c; i++)
        mean[i] *= scale;
}

static void lsp_image(const bw_lsp_shape *s, float *dst, const void *src, float *scratch)
{
    const int64_t cells = s->rows * s->columns;
    for (int64_t k = 0; k < cells; k++) {
        cell_mean(s, scratch, scratch + s->c, src, cell_range(k / s->columns, s->rows, s->h),
                  cell_range(k % s->columns, s->columns, s->w));
        for (int64_t i = 0; i < s->c; i++)
            dst[i * cells + k] = scratch[i];
    }
}

void bw__lsp_forward(bw_exec *x, const bw_lsp_shape *s, float *dst, const void *src)
{
    const int64_t cells = s->rows * s->columns;
    if (cells == 1) {
        bw__gsp_forward(x, s->type, dst, src, s->n, s->h * s->w, s->c);
        return;
    }
    size_t mark = bw__exec_mark(x);
    double begin = bw__profile_begin(x);
    float *scratch = bw__exec_take_f32(x, s->n * 2 * s->c); /* a mean and a row for each image */
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < s->n; i++)
            lsp_image(s, dst + i * s->c * cells, bw__const_at(s->type, src, i * s->h * s->w * s->c),
                      scratch + i * 2 * s->c);
    }
    bw__exec_release(x, mark);
    bw__profile_end(x, begin, "average pool", "forward", 0);
}

/* Gradient of one pixel: the sum of g over the cells that it is in; g [cells, c], each over its pixels. */
static void pixel_backward(const bw_lsp_shape *s, void *diff, const float *g, float *sum, int64_t iy,
                           int64_t ix)
{
    memset(sum, 0, (size_t)s->c * sizeof *sum);
    for (int64_t row = 0; row < s->rows; row++) {
        range y = cell_range(row, s->rows, s->h);
        if (iy < y.begin || iy >= y.end) continue;
        for (int64_t column = 0; column < s->columns; column++) {
            range x = cell_range(column, s->columns, s->w);
            const float *of_cell = g + (row * s->columns + column) * s->c;
            if (ix < x.begin || ix >= x.end) continue;
            for (int64_t i = 0; i < s->c; i++)
                sum[i] += of_cell[i];
        }
    }
    bw__loops()->from_f32(s->type, diff, sum, s->c);
}

static void lsp_image_backward(const bw_lsp_shape *s, void *diff_src, const float *diff_dst, float *scratch)
{
    const int64_t cells = s->rows * s->columns;
    float *g = scratch, *sum = scratch + cells * s->c;
    for (int64_t k = 0; k < cells; k++) {
        range y = cell_range(k / s->columns, s->rows, s->h), x = cell_range(k % s->columns, s->columns, s->w);
        const float scale = 1.0f / (float)((y.end - y.begin) * (x.end - x.begin));
        for (int64_t i = 0; i < s->c; i++)
            g[k * s->c + i] = diff_dst[i * cells + k] * scale;
    }
    for (int64_t p = 0; p < s->h * s->w; p++)
        pixel_backward(s, bw__at(s->type, diff_src, p * s->c), g, sum, p / s->w, p % s->w);
}

void bw__lsp_backward(bw_exec *x, const bw_lsp_shape *s, void *diff_src, const float *diff_dst)
{
    const int64_t cells = s->rows * s->columns;
    if (cells == 1) {
        bw__gsp_backward(x, s->type, diff_src, diff_dst, s->n, s->h * s->w, s->c);
        return;
    }
    size_t mark = bw__exec_mark(x);
    double begin = bw__profile_begin(x);
    float *scratch = bw__exec_take_f32(x, s->n * (cells + 1) * s->c);
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < s->n; i++)
            lsp_image_backward(s, bw__at(s->type, diff_src, i * s->h * s->w * s->c),
                               diff_dst + i * s->c * cells, scratch + i * (cells + 1) * s->c);
    }
    bw__exec_release(x, mark);
    bw__profile_end(x, begin, "average pool", "backward", 0);
}
