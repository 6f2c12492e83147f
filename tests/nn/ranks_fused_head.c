/* The fused head over a batch that ranks share. */
#include "nn/fused_head.h"
#include "nn/over_ranks.h"
#include <stdlib.h>

enum { P = 49, C = 16, D = 70, SIZE = P * C, ALL = VIEWS * IMAGES * SIZE, ALL_H = VIEWS * IMAGES * D };

typedef struct result {
    float h[ALL_H], diff_in[ALL], diff_w[D * C], diff_weight[D], diff_bias[D], running[2 * D];
} result;

static void fill(float *values, int64_t n, unsigned seed)
{
    static double unused[ALL];
    fill_random(values, unused, n, seed);
}

static void run(result *r, bw_comm *comm, bw_type type, const float *in, const float *g)
{
    static float own[ALL], own_g[ALL_H], typed[ALL], typed_diff[ALL], w[D * C], weight[D], bias[D];
    const int64_t n = images_of(comm);
    const bw_fused_head_shape s = {
        .views = VIEWS, .images = VIEWS * n, .positions = P, .c = C, .d = D, .type = type, .training = true
    };
    const bw_bn_params p = {
        .weight = weight, .bias = bias, .running_mean = r->running, .running_var = r->running + D
    };
    bw_exec x = exec_over(comm);
    bw_fused_head *f = NULL;
    bw_bn bn;
    fill(w, D * C, 3);
    fill(weight, D, 4);
    fill(bias, D, 5);
    for (int i = 0; i < D; i++)
        r->running[i] = 0.0f, r->running[D + i] = 1.0f;
    deal(comm, own, in, SIZE);
    round_to(type, typed, own, VIEWS * n * SIZE);
    deal(comm, own_g, g, D);
    CHECK_OK(bw__fused_head_create(&f, &x, &s));
    CHECK_OK(bw__bn_create(&bn, type, VIEWS, n * P, D));
    CHECK_OK(bw__fused_head_forward(f, &x, &bn, &p, r->h, typed, w));
    CHECK_OK(bw__fused_head_backward(f, &x, &bn, &p, typed_diff, r->diff_w, r->diff_weight, r->diff_bias,
                                     own_g, typed, w));
    CHECK_OK(x.remote);
    bw__loops()->to_f32(type, r->diff_in, typed_diff, VIEWS * n * SIZE);
    bw__bn_destroy(&bn);
    bw__fused_head_free(f);
    bw__exec_destroy(&x);
}

/* Inputs around `mean`, which differ from image to image, so from rank to rank. */
static void make_inputs(float *in, float *g, double mean)
{
    fill(in, ALL, 1);
    fill(g, ALL_H, 2);
    for (int64_t i = 0; i < ALL; i++) {
        int64_t image = i / SIZE % IMAGES, channel = i % C;
        in[i] = (float)(mean + (double)in[i] + 0.05 * (double)(image * (channel % 5)));
    }
}

typedef void (*close_fn)(const char *what, const float *got, const float *want, int64_t n, double bound);

static void check(bw_type type, double mean, close_fn close, double bound)
{
    static float in[ALL], g[ALL_H], own[ALL];
    static result one, shared;
    const int64_t n = images_of(ranks);
    make_inputs(in, g, mean);
    run(&one, NULL, type, in, g);
    run(&shared, ranks, type, in, g);
    deal(ranks, own, one.h, D);
    close("h", shared.h, own, VIEWS * n * D, bound);
    deal(ranks, own, one.diff_in, SIZE);
    close("gradient of the input", shared.diff_in, own, VIEWS * n * SIZE, bound);
    close("running mean", shared.running, one.running, D, bound);
    close("running variance", shared.running + D, one.running + D, D, bound);
    same_on_all(shared.running, 2 * D);
    CHECK_OK(bw__comm_sum_f32(ranks, shared.diff_w, D * C));
    close("gradient of the weights, summed over ranks", shared.diff_w, one.diff_w, D * C, bound);
    CHECK_OK(bw__comm_sum_f32(ranks, shared.diff_weight, D));
    close("gradient of batch norm's weight, summed over ranks", shared.diff_weight, one.diff_weight, D,
          bound);
    CHECK_OK(bw__comm_sum_f32(ranks, shared.diff_bias, D));
    close("gradient of batch norm's bias, summed over ranks", shared.diff_bias, one.diff_bias, D, bound);
}

static void head_and_gradients_are_those_of_one_rank(void **state)
{
    (void)state;
    check(BW_F32, 0.0, close_to, 1e-5);
}

/* Signs of values near 0 turn with the last bits that f32 has of the input there. */
static void a_mean_of_a_thousand_standard_deviations_does_not_cancel(void **state)
{
    (void)state;
    check(BW_F32, 577.0, close_in_norm, 1e-2);
}

static void in_bf16_within_its_rounding(void **state)
{
    (void)state;
    setenv(BW_BF16_VARIABLE, "emulate", 1);
    check(BW_BF16, 0.0, close_in_norm, 0.03);
    unsetenv(BW_BF16_VARIABLE);
}

static void each_direction_is_one_message(void **state)
{
    (void)state;
    static float in[ALL], g[ALL_H];
    static result r;
    const int64_t before = bw__comm_count(BW_COMM_SUM).calls, bytes = bw__comm_count(BW_COMM_SUM).bytes;
    make_inputs(in, g, 0.0);
    run(&r, ranks, BW_F32, in, g);
    assert_int_equal(bw__comm_count(BW_COMM_SUM).calls - before, 2);
    assert_int_equal(bw__comm_count(BW_COMM_SUM).bytes - bytes, VIEWS * (C + D + 2 * D) * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_and_gradients_are_those_of_one_rank),
        cmocka_unit_test(a_mean_of_a_thousand_standard_deviations_does_not_cancel),
        cmocka_unit_test(in_bf16_within_its_rounding),
        cmocka_unit_test(each_direction_is_one_message),
    };
    return RANKS_MAIN(tests);
}
