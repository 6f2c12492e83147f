/* Layers with bf16 activations against the same layers in f32, on inputs that bf16 holds: what is stored is
 * rounded once, to 8 bits, so it may be off by 2^-8 of itself; statistics, pooled features and gradients of
 * parameters are f32. */
#include "check.h"
#include "nn/batch_norm.h"
#include "nn/conv.h"
#include "nn/elementwise.h"
#include "nn/matmul.h"
#include "nn/noise.h"
#include "nn/plain.h"
#include "nn/pool.h"
#include <stdlib.h>
#include <string.h>

enum { VIEWS = 2, N = 3, P = 35, ROWS = N * P, C = 11, ALL = VIEWS * ROWS * C };

static const double ROUNDING = 0x1p-8;

static bw_exec exec_with_arena(void)
{
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)16 << 20));
    return x;
}

/* The same numbers in both types. */
static void fill_both(bw_exec *x, float *f, uint16_t *h, int64_t n, unsigned seed)
{
    double *unused = malloc((size_t)n * sizeof *unused);
    assert_non_null(unused);
    fill_random(f, unused, n, seed);
    bw__from_f32(x, BW_BF16, h, f, n);
    bw__to_f32(x, BW_BF16, f, h, n);
    free(unused);
}

static void check_rounded(bw_exec *x, const uint16_t *got, const float *want, int64_t n, double atol)
{
    float *wide = malloc((size_t)n * sizeof *wide);
    assert_non_null(wide);
    bw__to_f32(x, BW_BF16, wide, got, n);
    CHECK_CLOSE_F32(wide, want, (size_t)n, ROUNDING, atol);
    free(wide);
}

static void batch_norm_is_that_of_f32_rounded(void **state)
{
    (void)state;
    static float y[ALL], s[ALL], g[ALL], out[ALL], w[C], b[C], rm[2][C], rv[2][C], dw[2][C], db[2][C],
        h[2][VIEWS * N * C];
    static uint16_t y16[ALL], s16[ALL], g16[ALL], out16[ALL];
    static double unused[ALL];
    bw_exec x = exec_with_arena();
    bw_bn f32, bf16;
    fill_both(&x, y, y16, ALL, 1);
    fill_both(&x, s, s16, ALL, 2);
    fill_both(&x, g, g16, ALL, 3);
    fill_random(w, unused, C, 4);
    fill_random(b, unused, C, 5);
    CHECK_OK(bw__bn_create(&f32, BW_F32, VIEWS, ROWS, C));
    CHECK_OK(bw__bn_create(&bf16, BW_BF16, VIEWS, ROWS, C));
    const bw_bn_params p = { w, b, rm[0], rv[0] }, p16 = { w, b, rm[1], rv[1] };
    /* Statistics are of the stored values, which are the same: so are the coefficients, to the bit. */
    bw__bn_statistics(&f32, &x, y, &p);
    bw__bn_statistics(&bf16, &x, y16, &p16);
    assert_memory_equal(f32.mean, bf16.mean, 4 * VIEWS * C * sizeof(float));
    assert_memory_equal(rm[0], rm[1], sizeof rm[0]);
    assert_memory_equal(rv[0], rv[1], sizeof rv[0]);

    bw__bn_relu_forward(&f32, &x, out, y);
    bw__bn_relu_forward(&bf16, &x, out16, y16);
    check_rounded(&x, out16, out, ALL, 0);
    bw__bn_add_relu_forward(&f32, &x, out, y, s, NULL);
    bw__bn_add_relu_forward(&bf16, &x, out16, y16, s16, NULL);
    check_rounded(&x, out16, out, ALL, 0);
    bw__bn_add_relu_forward(&f32, &x, out, y, s, &f32);
    bw__bn_add_relu_forward(&bf16, &x, out16, y16, s16, &bf16);
    check_rounded(&x, out16, out, ALL, 0);

    /* In the place of y, as units use it. */
    memcpy(out, y, sizeof out);
    memcpy(out16, y16, sizeof out16);
    bw__bn_backward(&f32, &x, out, dw[0], db[0], g, out, &p, true);
    bw__bn_backward(&bf16, &x, out16, dw[1], db[1], g16, out16, &p16, true);
    check_rounded(&x, out16, out, ALL, 0);
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
    assert_memory_equal(db[0], db[1], sizeof db[0]);

    bw__bn_relu_pool_forward(&f32, &x, h[0], y, P);
    bw__bn_relu_pool_forward(&bf16, &x, h[1], y16, P);
    assert_memory_equal(h[0], h[1], sizeof h[0]);
    bw__bn_relu_pool_backward(&f32, &x, out, dw[0], db[0], h[0], y, &p, P);
    bw__bn_relu_pool_backward(&bf16, &x, out16, dw[1], db[1], h[1], y16, &p16, P);
    check_rounded(&x, out16, out, ALL, 0);
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
    bw__bn_destroy(&f32);
    bw__bn_destroy(&bf16);
    bw__exec_destroy(&x);
}

static void sums_masks_and_largest_values_are_exact_or_rounded_once(void **state)
{
    (void)state;
    enum { H = 7, W = 6, OH = 4, OW = 3, OUT = N * OH * OW * C, IN = N * H * W * C };
    static float p[IN], q[IN], want[IN], h[2][N * C];
    static uint16_t p16[IN], q16[IN], got[IN], want16[IN];
    static uint8_t where[2][OUT];
    bw_exec x = exec_with_arena();
    bw_bn bn;
    fill_both(&x, p, p16, IN, 1);
    fill_both(&x, q, q16, IN, 2);
    bw__add(&x, BW_F32, want, p, q, IN);
    bw__add(&x, BW_BF16, got, p16, q16, IN);
    check_rounded(&x, got, want, IN, 0);
    /* Nothing is computed here, so nothing is rounded. */
    bw__max_pool_forward(&x, BW_F32, want, where[0], p, N, H, W, C);
    bw__max_pool_forward(&x, BW_BF16, got, where[1], p16, N, H, W, C);
    bw__from_f32(&x, BW_BF16, want16, want, OUT);
    assert_memory_equal(got, want16, OUT * sizeof *got);
    assert_memory_equal(where[0], where[1], sizeof where[0]);
    /* Up to four gradients are added in f32 and rounded once. */
    bw__max_pool_backward(&x, BW_F32, want, q, where[0], N, H, W, C);
    bw__max_pool_backward(&x, BW_BF16, got, q16, where[0], N, H, W, C);
    check_rounded(&x, got, want, IN, 0);
    bw__gsp_forward(&x, BW_F32, h[0], p, N, H * W, C);
    bw__gsp_forward(&x, BW_BF16, h[1], p16, N, H * W, C);
    assert_memory_equal(h[0], h[1], sizeof h[0]);
    bw__gsp_backward(&x, BW_F32, want, h[0], N, H * W, C);
    bw__gsp_backward(&x, BW_BF16, got, h[0], N, H * W, C);
    check_rounded(&x, got, want, IN, 0);
    CHECK_OK(bw__bn_create(&bn, BW_BF16, 1, N * H * W, C));
    memcpy(got, p16, sizeof got);
    bw__relu_backward(&bn, &x, got, q16);
    for (int i = 0; i < IN; i++)
        assert_int_equal(got[i], q[i] > 0.0f ? p16[i] : 0);
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

static void eps_from_table(const void *user, float *eps, int64_t n, int64_t count)
{
    const float *table = user;
    memcpy(eps, table + n * count, (size_t)count * sizeof *eps);
}

static void noise_is_that_of_f32_rounded(void **state)
{
    (void)state;
    static float src[ALL], diff[ALL], out[ALL], eps[ALL];
    static uint16_t src16[ALL], diff16[ALL], out16[ALL];
    static double unused[ALL];
    bw_exec x = exec_with_arena();
    fill_random(eps, unused, ALL, 1);
    for (int kind = BW_NOISE_ALL; kind <= BW_NOISE_C; kind++) {
        bw_noise z = { .kind = (bw_noise_kind)kind,
                       .sigma = 0.3,
                       .views = VIEWS,
                       .n = N,
                       .positions = P,
                       .c = C,
                       .eps = eps_from_table,
                       .user = eps };
        fill_both(&x, src, src16, ALL, 2);
        fill_both(&x, diff, diff16, ALL, 3);
        bw__noise_forward(&z, &x, out, src);
        bw__noise_backward(&z, &x, diff, src);
        z.type = BW_BF16;
        bw__noise_forward(&z, &x, out16, src16);
        bw__noise_backward(&z, &x, diff16, src16);
        check_rounded(&x, out16, out, ALL, 0);
        check_rounded(&x, diff16, diff, ALL, 0);
    }
    assert_int_equal(x.arena.used[BW_LOW], 0);
    bw__exec_destroy(&x);
}

/* Small integers, so that f32 sums are exact and only what is stored is rounded. */
static void imitated_convolution_is_the_plain_twin_rounded(void **state)
{
    (void)state;
    const bw_conv_shape s = {
        .n = 2, .h = 6, .w = 5, .ic = 16, .oc = 24, .kernel = 3, .stride = 2, .pad = 1, .type = BW_BF16
    };
    enum { SRC = 2 * 6 * 5 * 16, DST = 2 * 3 * 3 * 24, WEIGHTS = 24 * 16 * 9 };
    static float src[SRC], dst[DST], w[WEIGHTS], f[SRC], dw[WEIGHTS];
    static uint16_t src16[SRC], dst16[DST], out16[SRC];
    static double dsrc[SRC], ddst[DST], dweights[WEIGHTS], want[WEIGHTS], got[WEIGHTS];
    bw_exec x = exec_with_arena();
    bw_conv *conv = NULL;
    assert_int_equal(setenv(BW_BF16_VARIABLE, "emulate", 1), 0);
    CHECK_OK(
        bw__conv_create(&conv, &x, &s, BW_PASS_FORWARD | BW_PASS_BACKWARD_DATA | BW_PASS_BACKWARD_WEIGHTS));
    fill_integers(src, dsrc, SRC, 1);
    fill_integers(w, dweights, WEIGHTS, 2);
    bw__from_f32(&x, BW_BF16, src16, src, SRC);
    plain_conv(&s, PLAIN_FORWARD, dsrc, dweights, want);
    for (int i = 0; i < DST; i++)
        f[i] = (float)want[i];
    /* Weights are rounded too: these differ from the integers by less than that. */
    for (int i = 0; i < WEIGHTS; i++)
        w[i] *= 1.0f + 0x1p-12f;
    CHECK_OK(bw__conv_forward(conv, &x, out16, src16, w));
    check_rounded(&x, out16, f, DST, 0);

    fill_integers(dst, ddst, DST, 3);
    bw__from_f32(&x, BW_BF16, dst16, dst, DST);
    memset(want, 0, sizeof want);
    plain_conv(&s, PLAIN_DATA, want, dweights, ddst);
    for (int i = 0; i < SRC; i++)
        f[i] = (float)want[i];
    CHECK_OK(bw__conv_backward_data(conv, &x, out16, dst16, w));
    check_rounded(&x, out16, f, SRC, 0);

    memset(want, 0, sizeof want);
    plain_conv(&s, PLAIN_WEIGHTS, dsrc, want, ddst);
    CHECK_OK(bw__conv_backward_weights(conv, &x, dw, src16, dst16));
    for (int i = 0; i < WEIGHTS; i++)
        got[i] = (double)dw[i];
    CHECK_CLOSE(got, want, WEIGHTS, 0, 0);
    assert_int_equal(x.arena.used[BW_LOW], 0);
    bw__conv_free(conv);
    assert_int_equal(unsetenv(BW_BF16_VARIABLE), 0);
    bw__exec_destroy(&x);
}

/* More than is copied at once: 8 MB of f32 an image. Integers, so that sums are exact in any order. */
static void imitation_of_many_images_goes_through_them_in_parts(void **state)
{
    (void)state;
    enum { IMAGES = 10, S = 62, IC = 16, OC = 512, W = OC * IC };
    const int64_t ns = IMAGES * S * S * IC, nd = (int64_t)IMAGES * S * S * OC;
    bw_conv_shape s = { .n = IMAGES, .h = S, .w = S, .ic = IC, .oc = OC, .kernel = 1, .stride = 1 };
    float *src = malloc((size_t)ns * 4), *dst = malloc((size_t)nd * 4), *back = malloc((size_t)ns * 4);
    uint16_t *src16 = malloc((size_t)ns * 2), *dst16 = malloc((size_t)nd * 2),
             *back16 = malloc((size_t)ns * 2);
    double *unused = malloc((size_t)nd * 8);
    static float w[W], dw[2][W];
    bw_exec x;
    bw_conv *f32 = NULL, *bf16 = NULL;
    const unsigned all = BW_PASS_FORWARD | BW_PASS_BACKWARD_DATA | BW_PASS_BACKWARD_WEIGHTS;
    assert_true(src && dst && back && src16 && dst16 && back16 && unused);
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)256 << 20));
    CHECK_OK(bw__conv_create(&f32, &x, &s, all));
    s.type = BW_BF16;
    assert_int_equal(setenv(BW_BF16_VARIABLE, "emulate", 1), 0);
    CHECK_OK(bw__conv_create(&bf16, &x, &s, all));
    fill_integers(src, unused, ns, 1);
    fill_integers(w, unused, W, 2);
    bw__from_f32(&x, BW_BF16, src16, src, ns);

    CHECK_OK(bw__conv_forward(f32, &x, dst, src, w));
    x.arena.peak = 0;
    CHECK_OK(bw__conv_forward(bf16, &x, dst16, src16, w));
    assert_in_range(x.arena.peak, (size_t)8 << 20, (size_t)48 << 20);
    check_rounded(&x, dst16, dst, nd, 0);
    fill_integers(dst, unused, nd, 3);
    bw__from_f32(&x, BW_BF16, dst16, dst, nd);
    CHECK_OK(bw__conv_backward_data(f32, &x, back, dst, w));
    CHECK_OK(bw__conv_backward_data(bf16, &x, back16, dst16, w));
    check_rounded(&x, back16, back, ns, 0);
    CHECK_OK(bw__conv_backward_weights(f32, &x, dw[0], src, dst));
    CHECK_OK(bw__conv_backward_weights(bf16, &x, dw[1], src16, dst16));
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
    bw__conv_free(f32);
    bw__conv_free(bf16);
    assert_int_equal(unsetenv(BW_BF16_VARIABLE), 0);
    bw__exec_destroy(&x);
    free(src), free(dst), free(back), free(src16), free(dst16), free(back16), free(unused);
}

static void imitated_product_reads_rows_that_are_apart(void **state)
{
    (void)state;
    enum { M = 5, K = 7, COLUMNS = 6, LDA = 9, LDB = 10 };
    const bw_matmul_shape s = {
        .m = M, .n = COLUMNS, .k = K, .lda = LDA, .ldb = LDB, .transpose_b = true, .type = BW_BF16
    };
    static float a[M * LDA], b[COLUMNS * LDB], dst[M * COLUMNS];
    static uint16_t a16[M * LDA], b16[COLUMNS * LDB];
    static double da[M * LDA], db[COLUMNS * LDB], want[M * COLUMNS], got[M * COLUMNS];
    bw_exec x = exec_with_arena();
    bw_matmul *mm = NULL;
    assert_int_equal(setenv(BW_BF16_VARIABLE, "emulate", 1), 0);
    fill_integers(a, da, M * LDA, 1);
    fill_integers(b, db, COLUMNS * LDB, 2);
    bw__from_f32(&x, BW_BF16, a16, a, M * LDA);
    bw__from_f32(&x, BW_BF16, b16, b, COLUMNS * LDB);
    CHECK_OK(bw__matmul_create(&mm, &x, &s));
    CHECK_OK(bw__matmul_run(mm, &x, dst, a16, b16));
    for (int i = 0; i < M; i++)
        for (int j = 0; j < COLUMNS; j++) {
            for (int k = 0; k < K; k++)
                want[i * COLUMNS + j] += da[i * LDA + k] * db[j * LDB + k];
            got[i * COLUMNS + j] = (double)dst[i * COLUMNS + j];
        }
    CHECK_CLOSE(got, want, M * COLUMNS, 0, 0);
    bw__matmul_free(mm);
    assert_int_equal(unsetenv(BW_BF16_VARIABLE), 0);
    bw__exec_destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_is_that_of_f32_rounded),
        cmocka_unit_test(sums_masks_and_largest_values_are_exact_or_rounded_once),
        cmocka_unit_test(noise_is_that_of_f32_rounded),
        cmocka_unit_test(imitated_convolution_is_the_plain_twin_rounded),
        cmocka_unit_test(imitation_of_many_images_goes_through_them_in_parts),
        cmocka_unit_test(imitated_product_reads_rows_that_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
