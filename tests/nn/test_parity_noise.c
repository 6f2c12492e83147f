/* Noise with given eps, and its gradient, against PyTorch in float64: the standard deviation is unbiased and
 * not detached. */
#include "parity.h"
#include "nn/noise.h"
#include <stdio.h>
#include <string.h>

enum { N = 3, H = 4, W = 5, C = 6, SAMPLE = H * W * C, COUNT = N * SAMPLE };

static void copy_eps(const void *user, float *eps, int64_t n, int64_t count)
{
    assert_int_equal(count, SAMPLE);
    memcpy(eps, (const float *)user + n * count, sizeof *eps * (size_t)count);
}

static void check_kind(bw_noise_kind kind, const char *name)
{
    static float src[COUNT], dst[COUNT], diff[COUNT], eps[COUNT];
    static double dst_f64[COUNT], diff_f64[COUNT];
    parity_worst forward = { .what = "noised output" }, backward = { .what = "its gradient" };
    bw_st_file *file = parity_open("noise");
    bw_noise noise = { kind, 0.25, 1, N, H * W, C, copy_eps, eps, BW_F32 };
    bw_exec x;
    char key[32];

    parity_formula(src, COUNT, "noise.x", 0.3, 2.0);
    parity_formula(eps, COUNT, "noise.eps", 0.0, 1.7);
    parity_formula(diff, COUNT, "noise.diff_dst", 0.0, 1.0);
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)1 << 20));
    bw__noise_forward(&noise, &x, dst, src);
    bw__noise_backward(&noise, &x, diff, src);
    for (int i = 0; i < COUNT; i++) {
        dst_f64[i] = (double)dst[i];
        diff_f64[i] = (double)diff[i];
    }
    (void)snprintf(key, sizeof key, "%s.dst", name);
    parity_compare_whole(&forward, file, key, dst_f64, COUNT);
    (void)snprintf(key, sizeof key, "%s.diff_src", name);
    parity_compare_whole(&backward, file, key, diff_f64, COUNT);
    parity_report(&forward, 1e-6);
    parity_report(&backward, 1e-6);
    bw__exec_destroy(&x);
    bw__st_close(file);
}

static void noise_over_the_whole_tensor_is_pytorchs(void **state)
{
    (void)state;
    check_kind(BW_NOISE_ALL, "all");
}

static void noise_over_positions_is_pytorchs(void **state)
{
    (void)state;
    check_kind(BW_NOISE_HW, "hw");
}

static void noise_over_channels_is_pytorchs(void **state)
{
    (void)state;
    check_kind(BW_NOISE_C, "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_over_the_whole_tensor_is_pytorchs),
        cmocka_unit_test(noise_over_positions_is_pytorchs),
        cmocka_unit_test(noise_over_channels_is_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
