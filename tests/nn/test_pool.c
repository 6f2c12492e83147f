/* Local spatial pooling and the picking of every stride-th pixel: against plain C in double, as each other's
 * adjoints, and for every number of threads. (Max pooling and gsp: test_loops.c, test_bf16_layers.c.) */
#include "check.h"
#include "base/rng.h"
#include "nn/loops.h"
#include "nn/pool.h"
#include "nn/subsample.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bw_exec exec_of(int threads)
{
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, threads));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)1 << 20));
    return x;
}

static float *drawn(int64_t n, uint64_t seed)
{
    float *v = malloc((size_t)n * sizeof *v);
    bw_rng rng = bw__rng(seed, BW_RNG_INIT, 0, 0, 0);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++)
        v[i] = 2.0f * bw__rng_uniform(&rng) - 1.0f;
    return v;
}

/* PyTorch's rule in its own words: start = floor(i in / out), end = ceil((i + 1) in / out). Element
 * [n, c, row, column] of the answer. */
static double plain_cell(const bw_lsp_shape *s, const double *src, int64_t n, int64_t c, int64_t row,
                         int64_t column)
{
    double sum = 0;
    int64_t y0 = (int64_t)floor((double)(row * s->h) / (double)s->rows),
            y1 = (int64_t)ceil((double)((row + 1) * s->h) / (double)s->rows),
            x0 = (int64_t)floor((double)(column * s->w) / (double)s->columns),
            x1 = (int64_t)ceil((double)((column + 1) * s->w) / (double)s->columns);
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++)
            sum += src[((n * s->h + y) * s->w + x) * s->c + c];
    return sum / (double)((y1 - y0) * (x1 - x0));
}

static void plain_lsp(const bw_lsp_shape *s, double *dst, const double *src)
{
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t c = 0; c < s->c; c++)
            for (int64_t row = 0; row < s->rows; row++)
                for (int64_t column = 0; column < s->columns; column++)
                    *dst++ = plain_cell(s, src, n, c, row, column);
}

static const bw_lsp_shape shapes[] = {
    { .n = 3, .h = 5, .w = 7, .c = 9, .rows = 2, .columns = 4 },
    { .n = 2, .h = 8, .w = 8, .c = 16, .rows = 2, .columns = 2 },
    { .n = 2, .h = 3, .w = 4, .c = 5, .rows = 1, .columns = 2 },
    { .n = 4, .h = 4, .w = 3, .c = 8, .rows = 1, .columns = 1 },
    { .n = 1, .h = 2, .w = 3, .c = 6, .rows = 4, .columns = 4 }, /* evaluation of small images: cells repeat
                                                                  */
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static int64_t src_count(const bw_lsp_shape *s)
{
    return s->n * s->h * s->w * s->c;
}
static int64_t dst_count(const bw_lsp_shape *s)
{
    return s->n * s->rows * s->columns * s->c;
}

static void to_double(double *dst, const float *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = (double)src[i];
}

static void lsp_is_the_mean_of_pytorchs_cells_in_its_order(void **state)
{
    (void)state;
    bw_exec x = exec_of(2);
    for (int k = 0; k < SHAPES; k++) {
        const bw_lsp_shape *s = &shapes[k];
        int64_t n = src_count(s), m = dst_count(s);
        float *src = drawn(n, 1), *dst = drawn(m, 2);
        double *src64 = malloc((size_t)n * sizeof(double)), *want = malloc((size_t)m * sizeof(double)),
               *got = malloc((size_t)m * sizeof(double));
        bw__lsp_forward(&x, s, dst, src);
        to_double(src64, src, n);
        to_double(got, dst, m);
        plain_lsp(s, want, src64);
        CHECK_CLOSE(got, want, (size_t)m, 1e-6, 1e-7);
        free(src), free(dst), free(src64), free(want), free(got);
    }
    bw__exec_destroy(&x);
}

/* <lsp(a), b> = <a, lsp'(b)>, and the gradient by central differences of the plain twin: the sum of
 * b * lsp(a) is linear in a, so that the differences are exact but for rounding. */
static void lsp_backward_is_the_gradient_of_the_plain_twin(void **state)
{
    (void)state;
    bw_exec x = exec_of(2);
    const double step = 1e-3;
    for (int k = 0; k < SHAPES; k++) {
        const bw_lsp_shape *s = &shapes[k];
        int64_t n = src_count(s), m = dst_count(s);
        float *src = drawn(n, 3), *g = drawn(m, 4), *diff = drawn(n, 5), *dst = drawn(m, 6);
        double *a = malloc((size_t)n * sizeof(double)), *up = malloc((size_t)m * sizeof(double)),
               *down = malloc((size_t)m * sizeof(double)), *want = calloc((size_t)n, sizeof(double)),
               *got = malloc((size_t)n * sizeof(double));
        to_double(a, src, n);
        for (int64_t i = 0; i < n; i++) {
            double was = a[i];
            a[i] = was + step;
            plain_lsp(s, up, a);
            a[i] = was - step;
            plain_lsp(s, down, a);
            a[i] = was;
            for (int64_t j = 0; j < m; j++)
                want[i] += (double)g[j] * (up[j] - down[j]) / (2 * step);
        }
        bw__lsp_backward(&x, s, diff, g);
        to_double(got, diff, n);
        CHECK_CLOSE(got, want, (size_t)n, 1e-5, 1e-7);
        double forward = 0, backward = 0;
        bw__lsp_forward(&x, s, dst, src);
        for (int64_t j = 0; j < m; j++)
            forward += (double)dst[j] * (double)g[j];
        for (int64_t i = 0; i < n; i++)
            backward += (double)src[i] * (double)diff[i];
        CHECK_CLOSE(&forward, &backward, 1, 1e-5, 1e-6);
        free(src), free(g), free(diff), free(dst), free(a), free(up), free(down), free(want), free(got);
    }
    bw__exec_destroy(&x);
}

static void lsp_of_one_cell_is_gsp_to_the_bit(void **state)
{
    (void)state;
    bw_exec x = exec_of(1);
    const bw_lsp_shape s = { .n = 3, .h = 5, .w = 7, .c = 9, .rows = 1, .columns = 1 };
    float *src = drawn(src_count(&s), 7), *a = drawn(dst_count(&s), 8), *b = drawn(dst_count(&s), 9);
    bw__lsp_forward(&x, &s, a, src);
    bw__gsp_forward(&x, BW_F32, b, src, s.n, s.h * s.w, s.c);
    assert_memory_equal(a, b, (size_t)dst_count(&s) * sizeof *a);
    free(src), free(a), free(b);
    bw__exec_destroy(&x);
}

static void lsp_of_bf16_is_that_of_its_values_and_threads_change_no_bit(void **state)
{
    (void)state;
    for (int k = 0; k < SHAPES; k++) {
        bw_lsp_shape s = shapes[k];
        int64_t n = src_count(&s), m = dst_count(&s);
        float *src = drawn(n, 10), *g = drawn(m, 11), *diff[2] = { drawn(n, 12), drawn(n, 13) },
              *dst[2] = { drawn(m, 14), drawn(m, 15) };
        uint16_t *short_src = malloc((size_t)n * 2), *short_diff = malloc((size_t)n * 2),
                 *want_diff = malloc((size_t)n * 2);
        bw__loops()->from_f32(BW_BF16, short_src, src, n);
        bw__loops()->to_f32(BW_BF16, src, short_src, n);
        for (int threads = 1; threads <= 3; threads += 2) {
            bw_exec x = exec_of(threads);
            s.type = BW_F32;
            bw__lsp_forward(&x, &s, dst[0], src);
            bw__lsp_backward(&x, &s, diff[0], g);
            s.type = BW_BF16;
            bw__lsp_forward(&x, &s, dst[1], short_src);
            bw__lsp_backward(&x, &s, short_diff, g);
            assert_memory_equal(dst[0], dst[1], (size_t)m * sizeof **dst);
            bw__loops()->from_f32(BW_BF16, want_diff, diff[0], n);
            assert_memory_equal(short_diff, want_diff, (size_t)n * 2);
            if (threads > 1) assert_memory_equal(diff[1], diff[0], (size_t)n * sizeof **diff);
            memcpy(diff[1], diff[0], (size_t)n * sizeof **diff);
            bw__exec_destroy(&x);
        }
        free(src), free(g), free(diff[0]), free(diff[1]), free(dst[0]), free(dst[1]);
        free(short_src), free(short_diff), free(want_diff);
    }
}

static void subsample_picks_every_stride_th_pixel_and_scatters_back(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        bw_exec x = exec_of(threads);
        for (int stride = 1; stride <= 8; stride++)
            for (int type = BW_F32; type <= BW_BF16; type++) {
                const bw_subsample_shape s = {
                    .n = 3, .h = 5, .w = 7, .c = 4, .stride = stride, .type = (bw_type)type
                };
                int64_t oh = (s.h + stride - 1) / stride, ow = (s.w + stride - 1) / stride;
                size_t bytes = bw__type_size(s.type) * 4;
                uint8_t src[3 * 5 * 7 * 4 * sizeof(float)], dst[sizeof src], back[sizeof src],
                    zero[16] = { 0 };
                for (size_t i = 0; i < sizeof src; i++)
                    src[i] = (uint8_t)(i * 7 + i / 251 + 1);
                memset(back, 0xee, sizeof back);
                assert_int_equal(bw__subsample_out(s.h, stride), oh);
                assert_int_equal(bw__subsample_out(s.w, stride), ow);
                bw__subsample_forward(&x, &s, dst, src);
                bw__subsample_backward(&x, &s, back, dst);
                for (int64_t n = 0; n < s.n; n++)
                    for (int64_t y = 0; y < s.h; y++)
                        for (int64_t i = 0; i < s.w; i++) {
                            size_t at = (size_t)((n * s.h + y) * s.w + i) * bytes,
                                   to = (size_t)((n * oh + y / stride) * ow + i / stride) * bytes;
                            bool picked = y % stride == 0 && i % stride == 0;
                            if (picked) assert_memory_equal(dst + to, src + at, bytes);
                            assert_memory_equal(back + at, picked ? src + at : zero, bytes);
                        }
                size_t end = (size_t)(s.n * s.h * s.w) * bytes;
                if (end < sizeof back) assert_int_equal(back[end], 0xee);
            }
        bw__exec_destroy(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lsp_is_the_mean_of_pytorchs_cells_in_its_order),
        cmocka_unit_test(lsp_backward_is_the_gradient_of_the_plain_twin),
        cmocka_unit_test(lsp_of_one_cell_is_gsp_to_the_bit),
        cmocka_unit_test(lsp_of_bf16_is_that_of_its_values_and_threads_change_no_bit),
        cmocka_unit_test(subsample_picks_every_stride_th_pixel_and_scatters_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
