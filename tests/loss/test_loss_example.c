/* The worked example of docs/architecture.md, taken from the page when the tests are configured. */
#include "check.h"
#include "loss_example.c"
#include <stdlib.h>
#include <string.h>

enum { N = 3, D = 5, COUNT = 2 * N * D };

static double value_of(void *state, bw_exec *x, float *diff, const float *z)
{
    bw_loss_value v = { 0 };
    CHECK_OK(bw__loss_distance.run(state, x, &v, diff, z, NULL));
    return v.total;
}

static void example_of_a_loss_has_the_gradient_of_its_value(void **state)
{
    (void)state;
    const bw_loss_config config = { .scale = 0.5 };
    float z[COUNT], diff[COUNT], ignored[COUNT];
    double want[COUNT], total = 0.0;
    void *loss = NULL;
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__arena_create(&x.arena, 4096));
    CHECK_OK(bw__loss_distance.create(&loss, &x, &config, N, D));
    for (int i = 0; i < COUNT; i++)
        z[i] = (float)(i * i % 17) / 8.0f;
    double got = value_of(loss, &x, diff, z);
    for (int i = 0; i < N * D; i++)
        total += (double)((z[i] - z[N * D + i]) * (z[i] - z[N * D + i])) * config.scale / (N * D);
    CHECK_CLOSE(&got, &total, 1, 1e-12, 0.0);
    for (int i = 0; i < COUNT; i++) { /* a power of two, so that a quadratic's difference is exact */
        float was = z[i];
        z[i] = was + 0.25f;
        double above = value_of(loss, &x, ignored, z);
        z[i] = was - 0.25f;
        want[i] = (above - value_of(loss, &x, ignored, z)) / 0.5;
        z[i] = was;
    }
    (void)CHECK_NORM_F32("example of a loss", diff, want, COUNT, 1e-6);
    assert_string_equal(bw__loss_distance.terms[0], "distance");
    assert_null(bw__loss_distance.terms[1]);
    assert_false(bw__loss_distance.needs_labels);
    assert_true(bw__loss_distance.flops(loss) == 0);
    bw__loss_distance.destroy(loss);
    bw__exec_destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_of_a_loss_has_the_gradient_of_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
