#include "check.h"
#include "base/rng.h"
#include "eval/cached_probe.h"
#include <math.h>
#include <string.h>

enum { TRAIN = 1100, TEST = 300, DIM = 24, CLASSES = 6 };

static float train_x[TRAIN * DIM], test_x[TEST * DIM];
static int train_label[TRAIN], test_label[TEST];

/* Class centres 1 apart in `signal` of the features, noise of the given size. */
static void rows(float *x, int *label, int n, uint64_t stream, float signal, float noise)
{
    bw_rng r = bw__rng(2, BW_RNG_SYNTHETIC, stream, 0, 0);
    bw__rng_normal_f32(&r, x, n * DIM);
    for (int i = 0; i < n; i++) {
        label[i] = (int)bw__rng_below(&r, CLASSES);
        for (int d = 0; d < DIM; d++)
            x[i * DIM + d] = x[i * DIM + d] * noise + (d % CLASSES == label[i] ? signal : 0.0F);
    }
}

static bw_cached_result run(float signal, float noise, int threads)
{
    rows(train_x, train_label, TRAIN, 1, signal, noise);
    rows(test_x, test_label, TEST, 2, signal, noise);
    bw_columns a = { .parts = 1, .x = { train_x }, .dim = { DIM } },
               b = { .parts = 1, .x = { test_x }, .dim = { DIM } };
    bw_selection train = { &a, train_label, NULL, TRAIN }, test = { &b, test_label, NULL, TEST };
    bw_cached_probe probe = { .classes = CLASSES, .seed = 4, .threads = threads };
    bw_cached_result r = { 0 };
    CHECK_OK(bw__cached_probe(NULL, &r, &train, &test, &probe, NULL));
    return r;
}

static void separable_classes_are_told_apart_on_rows_never_seen(void **state)
{
    (void)state;
    bw_cached_result r = run(1.0F, 0.1F, 2);
    assert_true(r.top1 >= 100 && r.top5 >= 100 && r.held_out >= 100);
    /* 1100 rows are 5 batches: 600 epochs make 3000 steps. */
    assert_int_equal(r.epochs, 600);
}

static void random_labels_are_guessed_at_chance(void **state)
{
    (void)state;
    bw_cached_result r = run(0.0F, 1.0F, 2);
    /* 1 of 6, five standard errors: 16.7 +- 10.8; five of six: 83.3 +- 10.8. */
    assert_true(fabs(r.top1 - 100.0 / 6) < 10.8);
    assert_true(fabs(r.top5 - 500.0 / 6) < 10.8);
}

static void sweep_chooses_a_rate_that_keeps_most_of_what_can_be_had(void **state)
{
    (void)state;
    bw_cached_result r = run(1.0F, 1.0F, 2);
    /* The centres are known, so the best possible rule is: nearest centre. */
    int best = 0;
    for (int i = 0; i < TEST; i++) {
        double score[CLASSES] = { 0 };
        int top = 0;
        for (int d = 0; d < DIM; d++)
            score[d % CLASSES] += (double)test_x[i * DIM + d];
        for (int c = 1; c < CLASSES; c++)
            if (score[c] > score[top]) top = c;
        best += top == test_label[i];
    }
    double bayes = 100.0 * best / TEST;
    assert_true(bayes > 70 && bayes < 95);
    assert_true(r.top1 > bayes - 3.0 && r.top1 < bayes + 3.0);
    assert_true(r.lr >= 0.001 && r.lr <= 1.0);
    assert_true(fabs(r.held_out - r.top1) < 12); /* 110 rows */
}

static void sweep_avoids_rates_too_small_for_few_steps(void **state)
{
    (void)state;
    /* One number shared by all features of a row hides the signal: small rates have no time to find it. */
    bw_rng r = bw__rng(6, BW_RNG_SYNTHETIC, 0, 0, 0);
    float shared[TRAIN + TEST];
    bw__rng_normal_f32(&r, shared, TRAIN + TEST);
    rows(train_x, train_label, TRAIN, 1, 1.0F, 0.5F);
    rows(test_x, test_label, TEST, 2, 1.0F, 0.5F);
    for (int i = 0; i < TRAIN * DIM; i++)
        train_x[i] += 2.0F * shared[i / DIM];
    for (int i = 0; i < TEST * DIM; i++)
        test_x[i] += 2.0F * shared[TRAIN + i / DIM];
    bw_columns a = { .parts = 1, .x = { train_x }, .dim = { DIM } },
               b = { .parts = 1, .x = { test_x }, .dim = { DIM } };
    bw_selection train = { &a, train_label, NULL, TRAIN }, test = { &b, test_label, NULL, TEST };
    bw_cached_probe probe = { .classes = CLASSES, .epochs = 6, .seed = 4, .threads = 2 };
    bw_cached_result got = { 0 };
    CHECK_OK(bw__cached_probe(NULL, &got, &train, &test, &probe, NULL));
    /* With the smallest rate half of the test rows are wrong. */
    assert_true(got.lr >= 0.03 && got.top1 > 90);
}

static void same_result_for_any_number_of_threads(void **state)
{
    (void)state;
    bw_cached_result one = run(0.5F, 1.0F, 1), three = run(0.5F, 1.0F, 3);
    assert_memory_equal(&one, &three, sizeof one);
}

static void one_class_is_refused_and_the_message_says_two_are_needed(void **state)
{
    (void)state;
    rows(train_x, train_label, TRAIN, 1, 1.0F, 1.0F);
    for (int i = 0; i < TRAIN; i++)
        train_label[i] = 2;
    bw_columns a = { .parts = 1, .x = { train_x }, .dim = { DIM } };
    bw_selection train = { &a, train_label, NULL, TRAIN };
    bw_cached_probe probe = { .classes = CLASSES, .seed = 4, .threads = 1 };
    bw_cached_result r;
    assert_int_equal(bw__cached_probe(NULL, &r, &train, &train, &probe, NULL), BW_EDATA);
    assert_string_equal(bw_last_error(),
                        "linear probe: 1100 labelled training images of one class; it needs two classes");
}

static void features_that_are_not_finite_are_an_error_not_an_accuracy(void **state)
{
    (void)state;
    rows(train_x, train_label, TRAIN, 1, 1.0F, 1.0F);
    train_x[5] = NAN;
    bw_columns a = { .parts = 1, .x = { train_x }, .dim = { DIM } };
    bw_selection train = { &a, train_label, NULL, TRAIN };
    bw_cached_probe probe = { .classes = CLASSES, .epochs = 3, .seed = 4, .threads = 1 };
    bw_cached_result r;
    assert_int_equal(bw__cached_probe(NULL, &r, &train, &train, &probe, NULL), BW_ENONFINITE);
}

typedef struct heard {
    double last;
    int calls, stop_after;
} heard;

static int listen(void *user, const char *what, double done)
{
    heard *h = user;
    assert_string_equal(what, "probe");
    assert_true(done >= h->last && done <= 1.0 + 1e-12);
    h->last = done;
    return ++h->calls == h->stop_after;
}

static void progress_rises_to_its_end_and_can_stop_the_work(void **state)
{
    (void)state;
    rows(train_x, train_label, TRAIN, 1, 1.0F, 1.0F);
    bw_columns a = { .parts = 1, .x = { train_x }, .dim = { DIM } };
    bw_selection train = { &a, train_label, NULL, TRAIN };
    bw_cached_probe probe = { .classes = CLASSES, .epochs = 6, .seed = 4, .threads = 2 };
    bw_cached_result r;
    heard h = { .last = 0 };
    bw_progress p = { .fn = listen, .user = &h, .what = "probe" };
    CHECK_OK(bw__cached_probe(NULL, &r, &train, &train, &probe, &p));
    assert_int_equal(r.epochs, 6);
    assert_true(fabs(h.last - 1.0) < 1e-9 && h.calls >= 2);
    h = (heard){ .stop_after = 2 };
    assert_int_equal(bw__cached_probe(NULL, &r, &train, &train, &probe, &p), BW_EINTERRUPTED);
    assert_int_equal(h.calls, 2);
}

static void protocol_line_holds_what_is_needed_to_quote_the_number(void **state)
{
    (void)state;
    char text[256];
    bw_cached_result r = { .lr = 0.03, .epochs = 30, .n_lr = 6, .rows = 60000 };
    bw__cached_protocol(text, sizeof text, &r, 32);
    assert_string_equal(text,
                        "cached: evaluation transform 32 px, standardised features, softmax regression, "
                        "SGD momentum 0.9, batch 256, 30 epochs, cosine, wd 1e-06, lr 0.03 of 6 swept on a "
                        "held-out tenth, 60000 training images, last epoch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separable_classes_are_told_apart_on_rows_never_seen),
        cmocka_unit_test(random_labels_are_guessed_at_chance),
        cmocka_unit_test(sweep_chooses_a_rate_that_keeps_most_of_what_can_be_had),
        cmocka_unit_test(sweep_avoids_rates_too_small_for_few_steps),
        cmocka_unit_test(same_result_for_any_number_of_threads),
        cmocka_unit_test(one_class_is_refused_and_the_message_says_two_are_needed),
        cmocka_unit_test(features_that_are_not_finite_are_an_error_not_an_accuracy),
        cmocka_unit_test(progress_rises_to_its_end_and_can_stop_the_work),
        cmocka_unit_test(protocol_line_holds_what_is_needed_to_quote_the_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
