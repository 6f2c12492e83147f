#include "check.h"
#include "nn/plain.h"
#include "blockwise/status.h"
#include <string.h>

static bw_exec exec_with_arena(void)
{
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)64 << 20));
    return x;
}

#define ALL_PASSES (BW_PASS_FORWARD | BW_PASS_BACKWARD_DATA | BW_PASS_BACKWARD_WEIGHTS)

/* Small integers: every product and sum is exact, so equality is exact. */
static void check_form(bw_conv_shape s, unsigned as_products)
{
    bw_exec x = exec_with_arena();
    bw_conv *conv = NULL;
    int64_t oh = bw__conv_out(s.h, s.kernel, s.stride, s.pad),
            ow = bw__conv_out(s.w, s.kernel, s.stride, s.pad);
    int64_t ns = s.n * s.h * s.w * s.ic, nw = s.oc * s.ic * s.kernel * s.kernel, nd = s.n * oh * ow * s.oc;
    float *src = calloc((size_t)ns, 4), *w = calloc((size_t)nw, 4), *dst = calloc((size_t)nd, 4);
    double *dsrc = calloc((size_t)ns, 8), *dw = calloc((size_t)nw, 8), *ddst = calloc((size_t)nd, 8);
    double *got = calloc((size_t)(ns + nw + nd), 8), *want = calloc((size_t)(ns + nw + nd), 8);
    CHECK_OK(bw__conv_create_as(&conv, &x, &s, ALL_PASSES, as_products));
    fill_integers(src, dsrc, ns, 1);
    fill_integers(w, dw, nw, 2);

    memset(dst, 0x7f, (size_t)nd * 4); /* outputs are overwritten, whatever was there */
    CHECK_OK(bw__conv_forward(conv, &x, dst, src, w));
    plain_conv(&s, PLAIN_FORWARD, dsrc, dw, want);
    for (int64_t i = 0; i < nd; i++)
        got[i] = (double)dst[i];
    CHECK_CLOSE(got, want, (size_t)nd, 0, 0);

    fill_integers(dst, ddst, nd, 3);
    float *diff = malloc((size_t)(ns > nw ? ns : nw) * 4);
    memset(diff, 0x7f, (size_t)(ns > nw ? ns : nw) * 4);
    CHECK_OK(bw__conv_backward_data(conv, &x, diff, dst, w));
    memset(want, 0, (size_t)ns * 8);
    plain_conv(&s, PLAIN_DATA, want, dw, ddst);
    for (int64_t i = 0; i < ns; i++)
        got[i] = (double)diff[i];
    CHECK_CLOSE(got, want, (size_t)ns, 0, 0);

    memset(diff, 0x7f, (size_t)(ns > nw ? ns : nw) * 4);
    CHECK_OK(bw__conv_backward_weights(conv, &x, diff, src, dst));
    memset(want, 0, (size_t)nw * 8);
    plain_conv(&s, PLAIN_WEIGHTS, dsrc, want, ddst);
    for (int64_t i = 0; i < nw; i++)
        got[i] = (double)diff[i];
    CHECK_CLOSE(got, want, (size_t)nw, 0, 0);
    assert_int_equal(x.arena.used[BW_LOW], 0);
    bw__conv_free(conv);
    bw__exec_destroy(&x);
    free(src), free(w), free(dst), free(dsrc), free(dw), free(ddst), free(got), free(want), free(diff);
}

/* Every pass as oneDNN's convolution and as a matrix product, whatever this processor would choose. */
static void check_shape(bw_conv_shape s)
{
    check_form(s, 0);
    check_form(s, s.stride == 1 ? ALL_PASSES : ALL_PASSES & ~(unsigned)BW_PASS_BACKWARD_DATA);
}

static void convolution_and_both_gradients_equal_the_plain_twin(void **state)
{
    (void)state;
    check_shape(
        (bw_conv_shape){ .n = 2, .h = 9, .w = 6, .ic = 3, .oc = 8, .kernel = 7, .stride = 2, .pad = 3 });
    check_shape(
        (bw_conv_shape){ .n = 3, .h = 5, .w = 7, .ic = 3, .oc = 16, .kernel = 3, .stride = 1, .pad = 1 });
    check_shape(
        (bw_conv_shape){ .n = 2, .h = 6, .w = 5, .ic = 8, .oc = 24, .kernel = 3, .stride = 2, .pad = 1 });
    check_shape(
        (bw_conv_shape){ .n = 2, .h = 6, .w = 5, .ic = 16, .oc = 8, .kernel = 1, .stride = 1, .pad = 0 });
    check_shape(
        (bw_conv_shape){ .n = 2, .h = 7, .w = 4, .ic = 8, .oc = 32, .kernel = 1, .stride = 2, .pad = 0 });
    check_shape(
        (bw_conv_shape){ .n = 1, .h = 1, .w = 1, .ic = 8, .oc = 8, .kernel = 3, .stride = 1, .pad = 1 });
}

static void a_shape_the_library_cannot_do_is_refused_by_name(void **state)
{
    (void)state;
    bw_exec x = exec_with_arena();
    bw_conv *conv = NULL;
    /* A 9x9 kernel does not fit a 4x4 image. */
    bw_conv_shape s = { .n = 1, .h = 4, .w = 4, .ic = 8, .oc = 8, .kernel = 9, .stride = 1, .pad = 0 };
    assert_int_equal(bw__conv_create(&conv, &x, &s, BW_PASS_FORWARD), BW_EKERNEL);
    assert_null(conv);
    assert_non_null(strstr(bw_last_error(), "convolution 9x9"));
    bw__exec_destroy(&x);
}

/* oneDNN would divide by zero. Nothing overflows on the way to the refusal, which the undefined-behaviour
 * sanitizer looks at. */
static void sizes_that_the_library_cannot_count_are_refused_by_name(void **state)
{
    (void)state;
    const bw_conv_shape too_large[] = {
        { .n = 131072, .h = 1024, .w = 1024, .ic = 3, .oc = 64, .kernel = 3, .stride = 1, .pad = 1 },
        { .n = 8192, .h = 512, .w = 512, .ic = 3, .oc = 64, .kernel = 3, .stride = 1, .pad = 1 }, /* dst */
        { .n = (int64_t)1 << 60, .h = 32, .w = 32, .ic = 3, .oc = 8, .kernel = 3, .stride = 1, .pad = 1 },
        { .n = 1, .h = INT64_MAX, .w = INT64_MAX, .ic = 3, .oc = 8, .kernel = 7, .stride = 2, .pad = 3 },
        { .n = 1, .h = 1, .w = (int64_t)1 << 31, .ic = 1, .oc = 1, .kernel = 1, .stride = 1, .pad = 0 },
        { .n = 1, .h = 8, .w = 8, .ic = 1 << 17, .oc = 1 << 18, .kernel = 1, .stride = 1, .pad = 0 }
    };
    bw_exec x = exec_with_arena();
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++)
        for (bw_type type = BW_F32; type <= BW_BF16; type++) {
            bw_conv *conv = NULL;
            bw_conv_shape s = too_large[i];
            s.type = type;
            assert_int_equal(bw__conv_create(&conv, &x, &s, ALL_PASSES), BW_ENOMEM);
            assert_null(conv);
            assert_non_null(strstr(bw_last_error(), "convolution "));
            assert_non_null(strstr(bw_last_error(), "too large"));
        }
    bw__exec_destroy(&x);
}

static uint16_t bf16_bits(float v) /* exact for what is used here */
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static double bf16_value(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return (double)v;
}

/* Integers this small are exact in bf16 and so are their sums of 16 products in f32; only the result is
 * rounded, to 8 bits. */
static void bf16_convolution_is_right_where_the_processor_has_it_and_refused_elsewhere(void **state)
{
    (void)state;
    enum { N = 2, S = 5, IC = 16, OC = 32 };
    const bw_conv_shape s = {
        .n = N, .h = S, .w = S, .ic = IC, .oc = OC, .kernel = 1, .stride = 1, .type = BW_BF16
    };
    uint16_t src[N * S * S * IC], dst[N * S * S * OC];
    float f[N * S * S * OC], w[OC * IC], diff_w[OC * IC];
    double dsrc[N * S * S * IC], ddst[N * S * S * OC], dw[OC * IC], want[N * S * S * OC] = { 0 },
                                                                                     got[N * S * S * OC];
    bw_exec x = exec_with_arena();
    bw_conv *conv = NULL;
    bw_status st =
        bw__conv_create(&conv, &x, &s, BW_PASS_FORWARD | BW_PASS_BACKWARD_DATA | BW_PASS_BACKWARD_WEIGHTS);
    if (strncmp(bw__exec_isa(), "AVX-512", 7) != 0) {
        assert_int_equal(st, BW_EKERNEL);
        assert_null(conv);
        assert_non_null(strstr(bw_last_error(), "of bf16"));
    } else {
        CHECK_OK(st);
        fill_integers(f, dsrc, N * S * S * IC, 1);
        for (int i = 0; i < N * S * S * IC; i++)
            src[i] = bf16_bits(f[i]);
        fill_integers(w, dw, OC * IC, 2);
        CHECK_OK(bw__conv_forward(conv, &x, dst, src, w));
        plain_conv(&s, PLAIN_FORWARD, dsrc, dw, want);
        for (int i = 0; i < N * S * S * OC; i++)
            got[i] = bf16_value(dst[i]);
        CHECK_CLOSE(got, want, N * S * S * OC, 1.0 / 256, 0);

        fill_integers(f, ddst, N * S * S * OC, 3);
        for (int i = 0; i < N * S * S * OC; i++)
            dst[i] = bf16_bits(f[i]);
        memset(want, 0, sizeof want);
        CHECK_OK(bw__conv_backward_weights(conv, &x, diff_w, src, dst));
        plain_conv(&s, PLAIN_WEIGHTS, dsrc, want, ddst);
        for (int i = 0; i < OC * IC; i++)
            got[i] = (double)diff_w[i];
        CHECK_CLOSE(got, want, OC * IC, 0, 0);

        memset(want, 0, sizeof want);
        CHECK_OK(bw__conv_backward_data(conv, &x, src, dst, w));
        plain_conv(&s, PLAIN_DATA, want, dw, ddst);
        for (int i = 0; i < N * S * S * IC; i++)
            got[i] = bf16_value(src[i]);
        CHECK_CLOSE(got, want, N * S * S * IC, 1.0 / 256, 0);
    }
    bw__conv_free(conv);
    bw__exec_destroy(&x);
}

static void arena_sides_do_not_meet_and_the_dry_run_gives_the_size(void **state)
{
    (void)state;
    bw_arena dry = bw__arena_dry(), real;
    size_t peak = 0;
    for (int pass = 0; pass < 2; pass++) {
        bw_arena *a = pass ? &real : &dry;
        if (pass) CHECK_OK(bw__arena_create(&real, peak));
        char *p = bw__arena_take(a, BW_LOW, 100), *q = bw__arena_take(a, BW_HIGH, 200);
        size_t mark = bw__arena_mark(a, BW_LOW);
        char *r = bw__arena_take(a, BW_LOW, 1000);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_int_equal((uintptr_t)q % 64, 0);
        assert_true(p + 128 <= r && r + 1000 <= q);
        if (pass) memset(r, 1, 1000);
        bw__arena_release(a, BW_LOW, mark);
        assert_ptr_equal(bw__arena_take(a, BW_LOW, 8), r);
        peak = a->peak;
        assert_int_equal(peak, 128 + 256 + 1024);
    }
    bw__arena_destroy(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution_and_both_gradients_equal_the_plain_twin),
        cmocka_unit_test(a_shape_the_library_cannot_do_is_refused_by_name),
        cmocka_unit_test(sizes_that_the_library_cannot_count_are_refused_by_name),
        cmocka_unit_test(bf16_convolution_is_right_where_the_processor_has_it_and_refused_elsewhere),
        cmocka_unit_test(arena_sides_do_not_meet_and_the_dry_run_gives_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
