/* Batch norm over a batch that ranks share. */
#include "nn/batch_norm.h"
#include "nn/over_ranks.h"

enum { P = 35, C = 11, SIZE = P * C, ALL = VIEWS * IMAGES * SIZE };

/* What one batch norm gives for `images` of this rank. */
typedef struct result {
    float out[ALL], diff[ALL], pooled[VIEWS * IMAGES * C], diff_pooled[ALL];
    float diff_weight[C], diff_bias[C], pooled_weight[C], pooled_bias[C];
    float running_mean[C], running_var[C];
} result;

static void fill(float *values, int64_t n, unsigned seed)
{
    static double unused[ALL];
    fill_random(values, unused, n, seed);
}

/* Forward and backward, with ReLU and then with pooling too, of y and gradient g [VIEWS, IMAGES, SIZE]. */
static void run(result *r, bw_comm *comm, bw_type type, const float *y, const float *g, bool affine)
{
    static float own[ALL], weight[C], bias[C], typed[ALL], typed_g[ALL], typed_out[ALL];
    const int64_t n = images_of(comm), count = VIEWS * n * SIZE;
    bw_exec x = exec_over(comm);
    bw_bn bn;
    fill(weight, C, 3);
    fill(bias, C, 4);
    for (int i = 0; i < C; i++)
        r->running_mean[i] = 0.0f, r->running_var[i] = 1.0f;
    const bw_bn_params p = { .weight = affine ? weight : NULL,
                             .bias = affine ? bias : NULL,
                             .running_mean = affine ? r->running_mean : NULL,
                             .running_var = affine ? r->running_var : NULL };
    CHECK_OK(bw__bn_create(&bn, type, VIEWS, n * P, C));
    deal(comm, own, y, SIZE);
    round_to(type, typed, own, count);
    deal(comm, own, g, SIZE);
    round_to(type, typed_g, own, count);
    bw__bn_statistics(&bn, &x, typed, &p);
    bw__bn_relu_forward(&bn, &x, typed_out, typed);
    bw__loops()->to_f32(type, r->out, typed_out, count);
    bw__bn_backward(&bn, &x, typed_out, affine ? r->diff_weight : NULL, affine ? r->diff_bias : NULL, typed_g,
                    typed, &p, true);
    bw__loops()->to_f32(type, r->diff, typed_out, count);
    bw__bn_relu_pool_forward(&bn, &x, r->pooled, typed, P);
    deal(comm, own, g, C); /* the first values of g are the gradient of what is pooled */
    bw__bn_relu_pool_backward(&bn, &x, typed_out, affine ? r->pooled_weight : NULL,
                              affine ? r->pooled_bias : NULL, own, typed, &p, P);
    bw__loops()->to_f32(type, r->diff_pooled, typed_out, count);
    CHECK_OK(x.remote);
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

static void compare(result *got, const result *want, bool affine, double bound)
{
    static float own[ALL];
    const int64_t n = images_of(ranks);
    deal(ranks, own, want->out, SIZE);
    close_to("output", got->out, own, VIEWS * n * SIZE, bound);
    deal(ranks, own, want->diff, SIZE);
    close_to("gradient of the input", got->diff, own, VIEWS * n * SIZE, bound);
    deal(ranks, own, want->pooled, C);
    close_to("pooled output", got->pooled, own, VIEWS * n * C, bound);
    deal(ranks, own, want->diff_pooled, SIZE);
    close_to("gradient through the pool", got->diff_pooled, own, VIEWS * n * SIZE, bound);
    if (!affine) return;
    close_to("running mean", got->running_mean, want->running_mean, C, bound);
    close_to("running variance", got->running_var, want->running_var, C, bound);
    same_on_all(got->running_mean, C);
    same_on_all(got->running_var, C);
    float *const sums[] = { got->diff_weight, got->diff_bias, got->pooled_weight, got->pooled_bias };
    const float *const of_one[] = { want->diff_weight, want->diff_bias, want->pooled_weight,
                                    want->pooled_bias };
    for (int i = 0; i < 4; i++) {
        CHECK_OK(bw__comm_sum_f32(ranks, sums[i], C));
        close_to("gradient of a parameter, summed over ranks", sums[i], of_one[i], C, bound);
    }
}

static void check(bw_type type, bool affine, double bound)
{
    static float y[ALL], g[ALL];
    static result one, shared;
    fill(y, ALL, 1);
    fill(g, ALL, 2);
    for (int64_t i = 0; i < ALL; i++) /* images, so ranks, have different means and deviations */
        y[i] = (float)(((double)y[i] + 3.0) * (1.0 + 0.1 * (double)(i / SIZE % IMAGES)));
    run(&one, NULL, type, y, g, affine);
    run(&shared, ranks, type, y, g, affine);
    compare(&shared, &one, affine, bound);
}

static void outputs_and_gradients_are_those_of_one_rank(void **state)
{
    (void)state;
    check(BW_F32, true, 1e-5);
}

static void without_weights_too(void **state)
{
    (void)state;
    check(BW_F32, false, 1e-5);
}

/* The rounding of a value of bf16 may turn with the last bit of a coefficient. */
static void in_bf16_within_its_rounding(void **state)
{
    (void)state;
    check(BW_BF16, true, 0x1p-8);
}

static void a_mean_of_ten_thousand_standard_deviations_does_not_cancel(void **state)
{
    (void)state;
    static float y[ALL], own[ALL], running[2 * C];
    const bw_bn_params p = { .running_mean = running, .running_var = running + C };
    double want[C] = { 0 }, got[C];
    bw_exec x = exec_over(ranks);
    bw_bn bn;
    fill(y, ALL, 1);
    for (int64_t i = 0; i < ALL; i++)
        y[i] += 5770.0f; /* 10000 times the std 0.577 of a uniform number in (-1, 1) */
    deal(ranks, own, y, SIZE);
    CHECK_OK(bw__bn_create(&bn, BW_F32, VIEWS, images_of(ranks) * P, C));
    bw__bn_statistics(&bn, &x, own, &p);
    for (int k = 0; k < VIEWS * C; k++) {
        const int rows = IMAGES * P, c = k % C;
        const float *first = y + k / C * rows * C + c;
        double mean = 0.0, var = 0.0;
        for (int i = 0; i < rows; i++)
            mean += (double)first[i * C] / rows;
        for (int i = 0; i < rows; i++)
            var += pow((double)first[i * C] - mean, 2) / (rows - 1);
        want[c] = 0.9 * want[c] + 0.1 * var;
        got[c] = (double)running[C + c];
    }
    CHECK_CLOSE(got, want, C, 1e-6, 0.0);
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

static void each_direction_is_one_message_of_two_doubles_for_view_and_channel(void **state)
{
    (void)state;
    static float y[ALL], g[ALL];
    static result r;
    const int64_t before = bw__comm_count(BW_COMM_SUM).calls, bytes = bw__comm_count(BW_COMM_SUM).bytes;
    fill(y, ALL, 1);
    run(&r, ranks, BW_F32, y, g, true); /* a forward pass, two backward passes */
    assert_int_equal(bw__comm_count(BW_COMM_SUM).calls - before, 3);
    assert_int_equal(bw__comm_count(BW_COMM_SUM).bytes - bytes, 3 * 2 * VIEWS * C * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_and_gradients_are_those_of_one_rank),
        cmocka_unit_test(without_weights_too),
        cmocka_unit_test(in_bf16_within_its_rounding),
        cmocka_unit_test(a_mean_of_ten_thousand_standard_deviations_does_not_cancel),
        cmocka_unit_test(each_direction_is_one_message_of_two_doubles_for_view_and_channel),
    };
    return RANKS_MAIN(tests);
}
