#include "check.h"
#include "base/rng.h"
#include "eval/linear_classifier.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 7, D = 5, C = 3 };

/* Mean cross-entropy in double of softmax(x w[0..d) + w[d]) over n rows. */
static double loss_f64(const double *w, const double *x, const int *label, int n, int d, int c)
{
    double total = 0;
    for (int i = 0; i < n; i++) {
        double z[16], sum = 0;
        for (int j = 0; j < c; j++) {
            z[j] = w[d * c + j];
            for (int m = 0; m < d; m++)
                z[j] += x[i * d + m] * w[m * c + j];
            sum += exp(z[j]);
        }
        total += log(sum) - z[label[i]];
    }
    return total / n;
}

static bw_linear *new_linear(int64_t dim, int classes, int64_t batch, int n_lr, const double *lr,
                             double momentum, double decay, double init_std, int threads)
{
    bw_linear_config c = { .dim = dim,
                           .classes = classes,
                           .batch = batch,
                           .n_lr = n_lr,
                           .momentum = momentum,
                           .weight_decay = decay,
                           .init_std = init_std,
                           .seed = 3,
                           .threads = threads };
    memcpy(c.lr, lr, (size_t)n_lr * sizeof *lr);
    bw_linear *l = NULL;
    CHECK_OK(bw__linear_create(&l, &c));
    return l;
}

static void small_rows(float x[N * D], int label[N])
{
    bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&r, x, N * D);
    for (int i = 0; i < N; i++)
        label[i] = (i * 5 + 1) % C;
}

static void two_steps_follow_the_gradient_momentum_and_decay_of_the_loss_in_double(void **state)
{
    (void)state;
    enum { W = (D + 1) * C };
    float x[N * D], w32[W];
    double xd[N * D], w[W], v[W] = { 0 }, g[W], lr[2] = { 0.5, 0.2 };
    int label[N];
    small_rows(x, label);
    for (int i = 0; i < N * D; i++)
        xd[i] = (double)x[i];
    bw_columns columns = { .parts = 1, .x = { x }, .dim = { D } };
    bw_selection all = { &columns, label, NULL, N };
    bw_linear *l = new_linear(D, C, N, 2, lr, 0.9, 0.01, 0.3, 2);
    bw__linear_weights(w32, l, 1);
    for (int i = 0; i < W; i++)
        w[i] = (double)w32[i];
    const double factor[2] = { 1.0, 0.25 }, h = 1e-5;
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < W; i++) {
            double keep = w[i];
            w[i] = keep + h;
            double up = loss_f64(w, xd, label, N, D, C);
            w[i] = keep - h;
            g[i] = (up - loss_f64(w, xd, label, N, D, C)) / (2 * h);
            w[i] = keep;
        }
        for (int i = 0; i < W; i++) {
            v[i] = 0.9 * v[i] + g[i] + 0.01 * w[i];
            w[i] -= 0.2 * factor[step] * v[i];
        }
        bw__linear_step(l, &all, factor[step]);
        bw__linear_weights(w32, l, 1);
        for (int i = 0; i < W; i++)
            g[i] = (double)w32[i];
        CHECK_CLOSE(g, w, W, 1e-5, 1e-6);
    }
    bw__linear_free(l);
}

static void weights_start_normal_and_biases_at_zero(void **state)
{
    (void)state;
    enum { DIM = 400, CLASSES = 10 };
    static float w[(DIM + 1) * CLASSES];
    double lr = 1, sum = 0, square = 0;
    bw_linear *l = new_linear(DIM, CLASSES, 1, 1, &lr, 0, 0, 0.01, 1);
    bw__linear_weights(w, l, 0);
    for (int i = 0; i < DIM * CLASSES; i++) {
        sum += (double)w[i];
        square += (double)w[i] * (double)w[i];
    }
    double n = DIM * CLASSES;
    assert_true(fabs(sum / n) < 5 * 0.01 / sqrt(n));
    assert_true(fabs(sqrt(square / n) / 0.01 - 1) < 5 / sqrt(2 * n));
    for (int j = 0; j < CLASSES; j++)
        assert_true(fabsf(w[DIM * CLASSES + j]) <= 0);
    bw__linear_free(l);
}

/* Rows around class centres; features on very different scales, one of them constant. Enough of them that a
 * step of two classifiers is shared among threads. */
enum { ROWS = 701, DIM = 1700, CLASSES = 7 };

static void clusters(float *x, int *label, float spread)
{
    bw_rng r = bw__rng(9, BW_RNG_SYNTHETIC, 1, 0, 0);
    bw__rng_normal_f32(&r, x, ROWS * DIM);
    for (int i = 0; i < ROWS; i++) {
        label[i] = (int)bw__rng_below(&r, CLASSES);
        for (int d = 0; d < DIM; d++) {
            float *v = &x[i * DIM + d];
            *v = *v * spread + (d % CLASSES == label[i] ? 1.0F : 0.0F);
            *v = *v * powf(10.0F, (float)(d % 5) - 2.0F) + 50.0F;
        }
        x[i * DIM + 3] = 0.1F;
    }
}

static void same_bits_for_any_number_of_threads_and_any_companions(void **state)
{
    (void)state;
    static float x[ROWS * DIM], w[4][(DIM + 1) * CLASSES];
    static int label[ROWS];
    double lr[3] = { 0.3, 0.05, 1e30 };
    clusters(x, label, 1.0F);
    bw_columns columns = { .parts = 1, .x = { x }, .dim = { DIM } };
    bw_selection all = { &columns, label, NULL, ROWS };
    for (int i = 0; i < 4; i++) {
        bw_linear *l = new_linear(DIM, CLASSES, 400, i == 3 ? 3 : 2, lr, 0.9, 1e-6, 0, i == 3 ? 2 : i + 1);
        bw__linear_standardise(l, &all);
        CHECK_OK(bw__linear_fit(l, &all, 3, NULL));
        bw__linear_weights(w[i], l, 1);
        bw__linear_free(l);
    }
    assert_memory_equal(w[0], w[1], sizeof w[0]);
    assert_memory_equal(w[0], w[2], sizeof w[0]);
    /* A neighbour that diverges to infinity leaves the others alone (other shapes of products may round
     * otherwise). */
    CHECK_CLOSE_F32(w[3], w[0], (DIM + 1) * CLASSES, 1e-3, 1e-5);
}

static void columns_side_by_side_equal_one_wide_array(void **state)
{
    (void)state;
    static float x[ROWS * DIM], left[ROWS * 20], right[ROWS * (DIM - 20)], w[2][(DIM + 1) * CLASSES];
    static int label[ROWS];
    double lr = 0.1;
    clusters(x, label, 1.0F);
    for (int i = 0; i < ROWS; i++) {
        memcpy(left + i * 20, x + i * DIM, 20 * sizeof *x);
        memcpy(right + i * (DIM - 20), x + i * DIM + 20, (DIM - 20) * sizeof *x);
    }
    bw_columns columns[2] = { { .parts = 1, .x = { x }, .dim = { DIM } },
                              { .parts = 2, .x = { left, right }, .dim = { 20, DIM - 20 } } };
    for (int i = 0; i < 2; i++) {
        bw_selection all = { &columns[i], label, NULL, ROWS };
        bw_linear *l = new_linear(DIM, CLASSES, 100, 1, &lr, 0.9, 0, 0, 2);
        bw__linear_standardise(l, &all);
        CHECK_OK(bw__linear_fit(l, &all, 2, NULL));
        bw__linear_weights(w[i], l, 0);
        bw__linear_free(l);
    }
    assert_memory_equal(w[0], w[1], sizeof w[0]);
}

static void separable_rows_are_learnt_to_the_last_one_whatever_their_scale(void **state)
{
    (void)state;
    static float x[ROWS * DIM];
    static int label[ROWS];
    double lr = 0.1, top1, top5;
    clusters(x, label, 0.2F);
    bw_columns columns = { .parts = 1, .x = { x }, .dim = { DIM } };
    bw_selection all = { &columns, label, NULL, ROWS };
    bw_linear *l = new_linear(DIM, CLASSES, 64, 1, &lr, 0.9, 1e-6, 0, 2);
    bw__linear_standardise(l, &all);
    bw__linear_score(&top1, &top5, l, &all);
    assert_true(top1 < 40);
    CHECK_OK(bw__linear_fit(l, &all, 5, NULL));
    bw__linear_score(&top1, &top5, l, &all);
    assert_true(top1 >= 100 && top5 >= 100);
    bw__linear_free(l);
}

static void standardised_fit_is_the_same_for_rescaled_and_shifted_features(void **state)
{
    (void)state;
    enum { W = (D + 1) * C };
    float x[2][N * D], w[2][W];
    int label[N];
    double lr = 0.3;
    small_rows(x[0], label);
    for (int i = 0; i < N * D; i++)
        x[1][i] = x[0][i] * powf(10.0F, (float)(i % D) - 2.0F) - 3.0F;
    for (int i = 0; i < 2; i++) {
        bw_columns columns = { .parts = 1, .x = { x[i] }, .dim = { D } };
        bw_selection all = { &columns, label, NULL, N };
        bw_linear *l = new_linear(D, C, 3, 1, &lr, 0.9, 0, 0, 1);
        bw__linear_standardise(l, &all);
        CHECK_OK(bw__linear_fit(l, &all, 4, NULL));
        bw__linear_weights(w[i], l, 0);
        bw__linear_free(l);
    }
    CHECK_CLOSE_F32(w[1], w[0], W, 1e-3, 1e-3);
}

static void selection_of_rows_is_what_is_trained_on_and_scored(void **state)
{
    (void)state;
    /* Rows 0 and 2 say class = sign; rows 1 and 3 say the opposite and are never selected for training. */
    float x[4] = { 1, 1, -1, -1 };
    int label[4] = { 0, 1, 1, 0 };
    int64_t even[2] = { 2, 0 }, odd[2] = { 1, 3 };
    double lr = 0.5, top1, top5;
    bw_columns columns = { .parts = 1, .x = { x }, .dim = { 1 } };
    bw_selection train = { &columns, label, even, 2 }, other = { &columns, label, odd, 2 };
    bw_linear *l = new_linear(1, 2, 2, 1, &lr, 0.9, 0, 0, 1);
    CHECK_OK(bw__linear_fit(l, &train, 20, NULL));
    bw__linear_score(&top1, &top5, l, &train);
    assert_true(top1 >= 100);
    bw__linear_score(&top1, &top5, l, &other);
    assert_true(top1 <= 0 && top5 >= 100);
    bw__linear_free(l);
}

static void diverged_classifier_scores_nothing(void **state)
{
    (void)state;
    float x[N * D];
    int label[N];
    double lr[2] = { 1e38, 0.1 }, top1[2], top5[2];
    small_rows(x, label);
    bw_columns columns = { .parts = 1, .x = { x }, .dim = { D } };
    bw_selection all = { &columns, label, NULL, N };
    bw_linear *l = new_linear(D, C, N, 2, lr, 0.9, 1e-6, 0, 1);
    CHECK_OK(bw__linear_fit(l, &all, 30, NULL));
    bw__linear_score(top1, top5, l, &all);
    assert_true(top1[0] <= 0 && top5[0] <= 0 && top1[1] > 50 && top5[1] >= 100);
    bw__linear_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_steps_follow_the_gradient_momentum_and_decay_of_the_loss_in_double),
        cmocka_unit_test(weights_start_normal_and_biases_at_zero),
        cmocka_unit_test(same_bits_for_any_number_of_threads_and_any_companions),
        cmocka_unit_test(columns_side_by_side_equal_one_wide_array),
        cmocka_unit_test(separable_rows_are_learnt_to_the_last_one_whatever_their_scale),
        cmocka_unit_test(standardised_fit_is_the_same_for_rescaled_and_shifted_features),
        cmocka_unit_test(selection_of_rows_is_what_is_trained_on_and_scored),
        cmocka_unit_test(diverged_classifier_scores_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
