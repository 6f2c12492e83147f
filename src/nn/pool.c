#include "nn/pool.h"
#include "nn/loops.h"

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
