/* Barlow Twins and its gradient against PyTorch in float64, embeddings of odd size included. */
#include "parity.h"
#include "loss/loss.h"
#include <stdio.h>
#include <stdlib.h>

static void check_size(int64_t n, int64_t d)
{
    const bw_loss_config config = { .name = BW_LOSS_BARLOW_TWINS, .lambda = 0.0051, .scale = 0.024 };
    parity_worst value = { .what = "Barlow Twins, value" }, gradient = { .what = "Barlow Twins, gradient" };
    bw_st_file *file = parity_open("barlow");
    bw_exec x;
    bw_loss *loss;
    bw_loss_value v;
    int64_t count = n * d;
    float *z = malloc(sizeof *z * (size_t)(2 * count)), *diff = malloc(sizeof *diff * (size_t)(2 * count));
    double *diff_f64 = malloc(sizeof *diff_f64 * (size_t)(2 * count));
    char key[32];

    assert_true(z && diff && diff_f64);
    parity_formula(z, count, "barlow.a", 0.4, 1.5);
    parity_formula(z + count, count, "barlow.b", 0.0, 1.0);
    for (int64_t i = 0; i < count; i++)
        z[count + i] = (float)(0.5 * (double)z[i] + (double)z[count + i]);
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)1 << 20));
    CHECK_OK(bw__loss_create(&loss, &x, &config, n, d));
    CHECK_OK(bw__loss_run(loss, &x, &v, diff, z, NULL));

    (void)snprintf(key, sizeof key, "%d.%d.loss", (int)n, (int)d);
    parity_compare_loss(&value, file, key, v.term[0], v.term[1], v.total);
    for (int64_t i = 0; i < 2 * count; i++)
        diff_f64[i] = (double)diff[i];
    (void)snprintf(key, sizeof key, "%d.%d.diff_a", (int)n, (int)d);
    parity_compare_whole(&gradient, file, key, diff_f64, count);
    (void)snprintf(key, sizeof key, "%d.%d.diff_b", (int)n, (int)d);
    parity_compare_whole(&gradient, file, key, diff_f64 + count, count);
    parity_report(&value, 1e-5);
    parity_report(&gradient, 1e-5);

    bw__loss_free(loss);
    bw__exec_destroy(&x);
    bw__st_close(file);
    free(z);
    free(diff);
    free(diff_f64);
}

static void barlow_of_5_by_3_is_pytorchs(void **state)
{
    (void)state;
    check_size(5, 3);
}

static void barlow_of_16_by_24_is_pytorchs(void **state)
{
    (void)state;
    check_size(16, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barlow_of_5_by_3_is_pytorchs),
        cmocka_unit_test(barlow_of_16_by_24_is_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
