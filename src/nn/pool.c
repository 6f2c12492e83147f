#include "nn/pool.h"
#include "base/dispatch.h"
#include <string.h>

BW_CLONES static void max_update(float *best, uint8_t *where, const float *src, uint8_t tap, int64_t c)
{
    for (int64_t i = 0; i < c; i++) {
        /* A NaN wins and stays, so that a diverged run is seen. */
        bool wins = src[i] > best[i] || src[i] != src[i];
        where[i] = wins ? tap : where[i];
        best[i] = wins ? src[i] : best[i];
    }
}

static void max_pool_row(float *dst, uint8_t *where, const float *src, int64_t oy, int64_t h, int64_t w,
                         int64_t c)
{
    int64_t ow = bw__max_pool_out(w);
    for (int64_t ox = 0; ox < ow; ox++) {
        bool first = true;
        for (int64_t tap = 0; tap < 9; tap++) {
            int64_t iy = 2 * oy - 1 + tap / 3, ix = 2 * ox - 1 + tap % 3;
            if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
            const float *s = src + (iy * w + ix) * c;
            if (first) {
                memcpy(dst + ox * c, s, (size_t)c * sizeof *dst);
                memset(where + ox * c, (int)tap, (size_t)c);
                first = false;
            } else {
                max_update(dst + ox * c, where + ox * c, s, (uint8_t)tap, c);
            }
        }
    }
}

void bw__max_pool_forward(bw_exec *x, float *dst, uint8_t *where, const float *src, int64_t n, int64_t h,
                          int64_t w, int64_t c)
{
    int64_t oh = bw__max_pool_out(h), ow = bw__max_pool_out(w);
    size_t mark = bw__exec_mark(x);
    if (!where) where = bw__arena_take(&x->arena, x->side, (size_t)(n * oh * ow * c));
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t r = 0; r < n * oh; r++)
            max_pool_row(dst + r * ow * c, where + r * ow * c, src + r / oh * h * w * c, r % oh, h, w, c);
    }
    bw__exec_release(x, mark);
}

static void max_pool_backward_image(float *diff_src, const float *diff_dst, const uint8_t *where, int64_t h,
                                    int64_t w, int64_t c)
{
    int64_t oh = bw__max_pool_out(h), ow = bw__max_pool_out(w);
    memset(diff_src, 0, (size_t)(h * w * c) * sizeof *diff_src);
    for (int64_t oy = 0; oy < oh; oy++)
        for (int64_t ox = 0; ox < ow; ox++) {
            const uint8_t *k = where + (oy * ow + ox) * c;
            const float *d = diff_dst + (oy * ow + ox) * c;
            for (int64_t i = 0; i < c; i++) {
                int64_t iy = 2 * oy - 1 + k[i] / 3, ix = 2 * ox - 1 + k[i] % 3;
                diff_src[(iy * w + ix) * c + i] += d[i];
            }
        }
}

void bw__max_pool_backward(bw_exec *x, float *diff_src, const float *diff_dst, const uint8_t *where,
                           int64_t n, int64_t h, int64_t w, int64_t c)
{
    int64_t out = bw__max_pool_out(h) * bw__max_pool_out(w) * c;
    if (bw__exec_is_dry(x)) return;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i++)
        max_pool_backward_image(diff_src + i * h * w * c, diff_dst + i * out, where + i * out, h, w, c);
}

BW_CLONES static void mean_rows(float *dst, const float *src, int64_t positions, int64_t c)
{
    float scale = 1.0f / (float)positions;
    memset(dst, 0, (size_t)c * sizeof *dst);
    for (int64_t r = 0; r < positions; r++)
        for (int64_t i = 0; i < c; i++)
            dst[i] += src[r * c + i];
    for (int64_t i = 0; i < c; i++)
        dst[i] *= scale;
}

BW_CLONES static void spread_rows(float *dst, const float *src, int64_t positions, int64_t c)
{
    float scale = 1.0f / (float)positions;
    for (int64_t r = 0; r < positions; r++)
        for (int64_t i = 0; i < c; i++)
            dst[r * c + i] = src[i] * scale;
}

void bw__gsp_forward(bw_exec *x, float *dst, const float *src, int64_t n, int64_t positions, int64_t c)
{
    if (bw__exec_is_dry(x)) return;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i++)
        mean_rows(dst + i * c, src + i * positions * c, positions, c);
}

void bw__gsp_backward(bw_exec *x, float *diff_src, const float *diff_dst, int64_t n, int64_t positions,
                      int64_t c)
{
    if (bw__exec_is_dry(x)) return;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i++)
        spread_rows(diff_src + i * positions * c, diff_dst + i * c, positions, c);
}
