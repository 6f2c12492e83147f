#include "check.h"
#include "base/rng.h"
#include "nn/fused_head.h"
#include "nn/loops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Everything of one head, in f32 for the kernel and in double for the twin. */
typedef struct case_data {
    bw_fused_head_shape s;
    int64_t n_in, n_w, n_h;
    float *in, *w, *gamma, *beta, *running, *h, *diff_h, *diff_in, *diff_w, *diff_gamma, *diff_beta;
    double *want_h, *want_diff_in, *want_diff_w, *want_diff_gamma, *want_diff_beta, *want_mean, *want_var;
} case_data;

static float *floats(int64_t n)
{
    return calloc((size_t)n, sizeof(float));
}
static double *doubles(int64_t n)
{
    return calloc((size_t)n, sizeof(double));
}

/* Plain C in double: the expansion is stored, statistics take two passes. `hidden_margin`: the smallest |z|,
 * since a sign that f32 sees otherwise would be no mistake. */
static double twin(case_data *k)
{
    const int64_t c = k->s.c, d = k->s.d, pos = k->s.positions, per_view = k->s.images / k->s.views;
    const int64_t rows = per_view * pos;
    double margin = 1e30, *y = doubles(rows * d), *dy = doubles(rows * d);
    for (int v = 0; v < k->s.views; v++) {
        const float *x = k->in + v * rows * c;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < d; i++) {
                double sum = 0;
                for (int64_t j = 0; j < c; j++)
                    sum += (double)k->w[i * c + j] * (double)x[r * c + j];
                y[r * d + i] = sum;
            }
        for (int64_t i = 0; i < d; i++) {
            double mean = 0, var = 0, sum_g = 0, sum_gx = 0;
            for (int64_t r = 0; r < rows; r++)
                mean += y[r * d + i] / (double)rows;
            for (int64_t r = 0; r < rows; r++)
                var += (y[r * d + i] - mean) * (y[r * d + i] - mean) / (double)rows;
            double rstd = 1 / sqrt(var + BW_BN_EPS), gamma = (double)k->gamma[i];
            for (int64_t r = 0; r < rows; r++) {
                int64_t image = v * per_view + r / pos;
                double xhat = (y[r * d + i] - mean) * rstd, z = gamma * xhat + (double)k->beta[i];
                double g = z > 0 ? (double)k->diff_h[image * d + i] / (double)pos : 0;
                if (fabs(z) < margin) margin = fabs(z);
                k->want_h[image * d + i] += z > 0 ? z / (double)pos : 0;
                sum_g += g;
                sum_gx += g * xhat;
                dy[r * d + i] = g;
            }
            for (int64_t r = 0; r < rows; r++) {
                double xhat = (y[r * d + i] - mean) * rstd;
                dy[r * d + i] =
                    gamma * rstd * (dy[r * d + i] - sum_g / (double)rows - xhat * sum_gx / (double)rows);
            }
            k->want_diff_gamma[i] += sum_gx;
            k->want_diff_beta[i] += sum_g;
            k->want_mean[i] = 0.9 * k->want_mean[i] + 0.1 * mean;
            k->want_var[i] = 0.9 * k->want_var[i] + 0.1 * var * (double)rows / (double)(rows - 1);
        }
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < d; i++)
                for (int64_t j = 0; j < c; j++) {
                    k->want_diff_w[i * c + j] += dy[r * d + i] * (double)x[r * c + j];
                    k->want_diff_in[(v * rows + r) * c + j] += dy[r * d + i] * (double)k->w[i * c + j];
                }
    }
    free(y), free(dy);
    return margin;
}

static case_data make_case(bw_fused_head_shape s, double offset)
{
    case_data k = { .s = s, .n_in = s.images * s.positions * s.c, .n_w = s.d * s.c, .n_h = s.images * s.d };
    bw_rng r = bw__rng(5, BW_RNG_SYNTHETIC, (uint64_t)s.positions, (uint64_t)s.c, 0);
    k.in = floats(k.n_in), k.w = floats(k.n_w), k.gamma = floats(s.d), k.beta = floats(s.d);
    k.running = floats(2 * s.d), k.h = floats(k.n_h), k.diff_h = floats(k.n_h), k.diff_in = floats(k.n_in);
    k.diff_w = floats(k.n_w), k.diff_gamma = floats(s.d), k.diff_beta = floats(s.d);
    k.want_h = doubles(k.n_h), k.want_diff_in = doubles(k.n_in), k.want_diff_w = doubles(k.n_w);
    k.want_diff_gamma = doubles(s.d), k.want_diff_beta = doubles(s.d);
    k.want_mean = doubles(s.d), k.want_var = doubles(s.d);
    bw__rng_normal_f32(&r, k.in, k.n_in);
    bw__rng_normal_f32(&r, k.w, k.n_w);
    bw__rng_normal_f32(&r, k.diff_h, k.n_h);
    bw__rng_normal_f32(&r, k.gamma, s.d);
    bw__rng_normal_f32(&r, k.beta, s.d);
    for (int64_t i = 0; i < k.n_in; i++)
        k.in[i] += (float)offset;
    for (int64_t i = 0; i < s.d; i++)
        k.running[s.d + i] = 1, k.want_var[i] = 1;
    memset(k.h, 0x7f, (size_t)k.n_h * 4); /* outputs are overwritten */
    memset(k.diff_in, 0x7f, (size_t)k.n_in * 4);
    memset(k.diff_w, 0x7f, (size_t)k.n_w * 4);
    return k;
}

static void free_case(case_data *k)
{
    free(k->in), free(k->w), free(k->gamma), free(k->beta), free(k->running), free(k->h), free(k->diff_h);
    free(k->diff_in), free(k->diff_w), free(k->diff_gamma), free(k->diff_beta), free(k->want_h);
    free(k->want_diff_in), free(k->want_diff_w), free(k->want_diff_gamma), free(k->want_diff_beta);
    free(k->want_mean), free(k->want_var);
}

/* Norm of the difference relative to the norm of what is wanted. */
static double distance(const float *got, const double *want, int64_t n)
{
    double diff = 0, norm = 1e-30;
    for (int64_t i = 0; i < n; i++) {
        diff += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += want[i] * want[i];
    }
    return sqrt(diff / norm);
}

/* Values as the type holds them; `src` is rounded to them too, so that kernel and twin see the same. */
static void *typed_copy(bw_type type, float *src, int64_t n)
{
    void *dst = malloc((size_t)n * bw__type_size(type));
    bw__loops()->from_f32(type, dst, src, n);
    bw__loops()->to_f32(type, src, dst, n);
    return dst;
}

static void run_kernel(case_data *k, int threads)
{
    bw_exec x;
    bw_fused_head *f = NULL;
    bw_bn bn;
    const bw_bn_params p = {
        .weight = k->gamma, .bias = k->beta, .running_mean = k->running, .running_var = k->running + k->s.d
    };
    void *in = typed_copy(k->s.type, k->in, k->n_in), *diff_in = malloc((size_t)k->n_in * sizeof(float));
    CHECK_OK(bw__exec_create(&x, threads));
    CHECK_OK(bw__fused_head_create(&f, &x, &k->s));
    CHECK_OK(bw__bn_create(&bn, k->s.type, k->s.views, k->s.images / k->s.views * k->s.positions, k->s.d));
    for (int dry = 1; dry >= 0; dry--) {
        if (!dry) CHECK_OK(bw__arena_create(&x.arena, x.arena.peak));
        CHECK_OK(bw__fused_head_forward(f, &x, &bn, &p, k->h, in, k->w));
        CHECK_OK(bw__fused_head_backward(f, &x, &bn, &p, diff_in, k->diff_w, k->diff_gamma, k->diff_beta,
                                         k->diff_h, in, k->w));
        bw__exec_release(&x, 0);
    }
    bw__loops()->to_f32(k->s.type, k->diff_in, diff_in, k->n_in);
    free(in), free(diff_in);
    bw__bn_destroy(&bn);
    bw__fused_head_free(f);
    bw__exec_destroy(&x);
}

#define CHECK_NEAR(got, want, n, bound)                                                                      \
    do {                                                                                                     \
        double far_ = distance((got), (want), (n));                                                          \
        if (!(far_ <= (bound))) fail_msg("%s: relative error %.3g over %.3g", #got, far_, (double)(bound));  \
    } while (0)

static void check_case(bw_fused_head_shape s, double offset, int threads, double bound)
{
    case_data k = make_case(s, offset);
    free(typed_copy(s.type, k.in, k.n_in));
    double margin = twin(&k);
    if (margin < 1e-5) fail_msg("a value of z lies %.2g from 0: choose other inputs", margin);
    run_kernel(&k, threads);
    CHECK_NEAR(k.h, k.want_h, k.n_h, bound);
    CHECK_NEAR(k.diff_in, k.want_diff_in, k.n_in, bound);
    CHECK_NEAR(k.diff_w, k.want_diff_w, k.n_w, bound);
    CHECK_NEAR(k.diff_gamma, k.want_diff_gamma, s.d, bound);
    CHECK_NEAR(k.diff_beta, k.want_diff_beta, s.d, bound);
    CHECK_NEAR(k.running, k.want_mean, s.d, bound);
    CHECK_NEAR(k.running + s.d, k.want_var, s.d, bound);
    free_case(&k);
}

static void head_and_gradients_equal_the_twin_in_double_for_any_size(void **state)
{
    (void)state;
    const bw_fused_head_shape shapes[] = {
        { .views = 2, .images = 4, .positions = 9, .c = 3, .d = 7 },
        { .views = 2, .images = 6, .positions = 49, .c = 16, .d = 70 },
        { .views = 1, .images = 5, .positions = 33, .c = 8, .d = 33 },
        { .views = 2, .images = 46, .positions = 36, .c = 5, .d = 17 }, /* the last tile of a view is short */
        { .views = 2, .images = 2, .positions = 900, .c = 6, .d = 16 }, /* an image is several tiles */
        { .views = 2, .images = 4, .positions = 1681, .c = 4, .d = 9 }, /* and the last is not whole groups */
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bw_fused_head_shape s = shapes[i];
        s.training = true;
        for (int threads = 1; threads <= 3; threads++)
            check_case(s, 0, threads, 5e-6);
    }
}

/* E[y^2] - mean^2 would leave nothing of the variance: 1000^2 is 2^20, and f32 has 24 bits. */
static void a_mean_of_a_thousand_standard_deviations_does_not_cancel(void **state)
{
    (void)state;
    bw_fused_head_shape s = { .views = 2, .images = 6, .positions = 30, .c = 8, .d = 12, .training = true };
    check_case(s, 1000, 2, 2e-4); /* the inputs themselves have an error of 6e-5 of their deviation */
}

/* Products of bf16 have an error of 2^-9 in each operand, and signs of small z turn (one in a hundred here).
 */
static void bf16_stays_within_its_rounding(void **state)
{
    (void)state;
    const bw_fused_head_shape s = {
        .views = 2, .images = 12, .positions = 49, .c = 16, .d = 70, .type = BW_BF16, .training = true
    };
    setenv(BW_BF16_VARIABLE, "emulate", 1);
    check_case(s, 0, 2, 0.08);
    unsetenv(BW_BF16_VARIABLE);
}

static void a_value_that_is_not_finite_is_seen_in_the_head(void **state)
{
    (void)state;
    bw_fused_head_shape s = { .views = 2, .images = 4, .positions = 9, .c = 3, .d = 17, .training = true };
    case_data k = make_case(s, 0);
    k.in[5] = NAN;
    run_kernel(&k, 2);
    assert_true(isnan(k.h[0]) && isnan(k.h[16]));
    free_case(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_and_gradients_equal_the_twin_in_double_for_any_size),
        cmocka_unit_test(a_mean_of_a_thousand_standard_deviations_does_not_cancel),
        cmocka_unit_test(bf16_stays_within_its_rounding),
        cmocka_unit_test(a_value_that_is_not_finite_is_seen_in_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
