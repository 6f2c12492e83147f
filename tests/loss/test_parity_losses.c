/* VICReg, SimCLR and cross-entropy against PyTorch in float64 (tests/fixtures/generate_losses.py). */
#include "loss_case.h"
#include <stdio.h>

static void check_size(bw_loss_name name, const char *key, int terms, int64_t n, int64_t d)
{
    const bw_loss_config config = loss_config(name);
    char what[64], path[64];
    bw_st_file *file = parity_open("losses");
    loss_case c = make_case(n, d);
    double value[1 + BW_LOSS_TERMS], want[1 + BW_LOSS_TERMS];
    double *diff = malloc((size_t)c.count * sizeof *diff);
    assert_non_null(diff);
    run_loss(&c, &config);

    value[0] = c.value.total;
    for (int i = 0; i < terms; i++)
        value[1 + i] = c.value.term[i];
    (void)snprintf(path, sizeof path, "%s.%d.%d.value", key, (int)n, (int)d);
    parity_whole(want, 1 + terms, file, path);
    CHECK_CLOSE(value, want, (size_t)(1 + terms), 1e-5, 0.0);

    (void)snprintf(what, sizeof what, "%s, gradient", key);
    parity_worst gradient = { .what = what };
    for (int64_t i = 0; i < c.count; i++)
        diff[i] = (double)c.diff[i];
    (void)snprintf(path, sizeof path, "%s.%d.%d.diff", key, (int)n, (int)d);
    parity_compare_whole(&gradient, file, path, diff, c.count);
    parity_report(&gradient, 1e-5);

    free(diff);
    drop_case(&c);
    bw__st_close(file);
}

static void vicreg_is_pytorchs(void **state)
{
    (void)state;
    check_size(BW_LOSS_VICREG, "vicreg", 3, 5, 3);
    check_size(BW_LOSS_VICREG, "vicreg", 3, 16, 24);
}

static void simclr_is_pytorchs(void **state)
{
    (void)state;
    check_size(BW_LOSS_SIMCLR, "simclr", 1, 5, 3);
    check_size(BW_LOSS_SIMCLR, "simclr", 1, 16, 24);
}

static void cross_entropy_is_pytorchs(void **state)
{
    (void)state;
    check_size(BW_LOSS_CROSS_ENTROPY, "cross-entropy", 1, 5, 3);
    check_size(BW_LOSS_CROSS_ENTROPY, "cross-entropy", 1, 16, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vicreg_is_pytorchs),
        cmocka_unit_test(simclr_is_pytorchs),
        cmocka_unit_test(cross_entropy_is_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
