#include "check.h"
#include "base/rng.h"
#include "eval/neighbours.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The unit vector at an angle, so that cosines are known. */
static void at_angle(float *x, double degrees)
{
    double radian = degrees * acos(-1.0) / 180.0;
    x[0] = (float)cos(radian);
    x[1] = (float)sin(radian);
}

static double top1_of(const double *degrees, const int *label, int n, int k, double temperature, int classes,
                      int want)
{
    float x[32], query[2];
    for (int i = 0; i < n; i++)
        at_angle(x + 2 * i, degrees[i]);
    at_angle(query, 0);
    bw_labelled_rows train = { x, label, n }, test = { query, &want, 1 };
    bw_knn_query q = {
        .dim = 2, .classes = classes, .n_k = 1, .k = &k, .temperature = temperature, .threads = 1
    };
    double top1 = -1, top5 = -1;
    CHECK_OK(bw__knn_classify(&top1, &top5, &train, &test, &q, NULL));
    return top1;
}

static void rows_are_divided_by_their_norm_and_zero_stays_zero(void **state)
{
    (void)state;
    float x[6] = { 3, 4, 0, 0, -5, 12 }, want[6] = { 0.6F, 0.8F, 0, 0, -5 / 13.0F, 12 / 13.0F };
    bw__l2_normalise(x, 3, 2, 2);
    CHECK_CLOSE_F32(x, want, 6, 1e-6, 0);
}

static void one_near_neighbour_outvotes_two_far_ones_by_the_exponential_weight(void **state)
{
    (void)state;
    /* Class 1 stands at cos 10 deg = 0.985, class 0 twice at cos 60 deg = 0.5. At temperature 1 the two
     * together weigh 2 exp(0.5) = 3.30 against exp(0.985) = 2.68; at 0.07 they weigh next to nothing. */
    double degrees[3] = { 60, 10, -60 };
    int label[3] = { 0, 1, 0 };
    assert_true(top1_of(degrees, label, 3, 3, 0.07, 2, 1) == 100.0);
    assert_true(top1_of(degrees, label, 3, 3, 1.0, 2, 0) == 100.0);
    /* exp(0.985 / T) = 2 exp(0.5 / T) at T = 0.485 / ln 2 = 0.6995: the weight is this one exactly. */
    assert_true(top1_of(degrees, label, 3, 3, 0.69, 2, 1) == 100.0);
    assert_true(top1_of(degrees, label, 3, 3, 0.71, 2, 0) == 100.0);
}

static void only_the_k_nearest_vote(void **state)
{
    (void)state;
    double degrees[5] = { 40, 30, 20, 10, 50 };
    int label[5] = { 0, 0, 1, 1, 0 };
    assert_true(top1_of(degrees, label, 5, 1, 1e3, 2, 1) == 100.0);
    assert_true(top1_of(degrees, label, 5, 2, 1e3, 2, 1) == 100.0);
    assert_true(top1_of(degrees, label, 5, 5, 1e3, 2, 0) == 100.0);
    /* More neighbours than there are: all of them. */
    assert_true(top1_of(degrees, label, 5, 200, 1e3, 2, 0) == 100.0);
    label[1] = 1;
    assert_true(top1_of(degrees, label, 5, 200, 1e3, 2, 1) == 100.0);
}

static void equal_cosines_prefer_the_earlier_row_and_equal_votes_the_lower_class(void **state)
{
    (void)state;
    double degrees[4] = { 90, 30, 30, 30 };
    int label[4] = { 0, 2, 1, 0 };
    assert_true(top1_of(degrees, label, 4, 1, 0.07, 3, 2) == 100.0);
    assert_true(top1_of(degrees, label, 4, 2, 0.07, 3, 1) == 100.0);
    /* Of the two equal ones, the later is pushed out by a nearer row. */
    double pushed[4] = { 30, 30, 10, 10 };
    int pushed_label[4] = { 1, 2, 1, 0 };
    assert_true(top1_of(pushed, pushed_label, 4, 3, 0.07, 3, 1) == 100.0);
}

static void low_temperature_does_not_overflow(void **state)
{
    (void)state;
    double degrees[2] = { 5, 1 };
    int label[2] = { 0, 1 };
    assert_true(top1_of(degrees, label, 2, 2, 1e-5, 2, 1) == 100.0);
}

static void a_class_without_votes_is_not_among_the_first_five(void **state)
{
    (void)state;
    float x[4] = { 1, 0, 0, 1 }, query[2] = { 1, 0 };
    int label[2] = { 3, 1 }, want = 1, k[2] = { 1, 2 };
    bw_labelled_rows train = { x, label, 2 }, test = { query, &want, 1 };
    bw_knn_query q = { .dim = 2, .classes = 4, .n_k = 2, .k = k, .temperature = 1, .threads = 1 };
    double top1[2], top5[2], want1[2] = { 0, 0 }, want5[2] = { 0, 100 };
    CHECK_OK(bw__knn_classify(top1, top5, &train, &test, &q, NULL));
    CHECK_CLOSE(top1, want1, 2, 0, 0);
    CHECK_CLOSE(top5, want5, 2, 0, 0);
}

/* More rows than one tile of each kind, sizes that divide nothing. */
enum { TRAIN = 1301, TEST = 331, DIM = 7, CLASSES = 11 };

typedef struct random_set {
    float train[TRAIN * DIM], test[TEST * DIM];
    int train_label[TRAIN], test_label[TEST];
} random_set;

static random_set *random_rows(void)
{
    random_set *s = malloc(sizeof *s);
    assert_non_null(s);
    bw_rng r = bw__rng(5, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&r, s->train, TRAIN * DIM);
    bw__rng_normal_f32(&r, s->test, TEST * DIM);
    for (int i = 0; i < TRAIN; i++) {
        s->train_label[i] = (int)bw__rng_below(&r, CLASSES);
        s->train[i * DIM + s->train_label[i] % DIM] += 1;
    }
    for (int i = 0; i < TEST; i++) {
        s->test_label[i] = (int)bw__rng_below(&r, CLASSES);
        s->test[i * DIM + s->test_label[i] % DIM] += 1;
    }
    bw__l2_normalise(s->train, TRAIN, DIM, 1);
    bw__l2_normalise(s->test, TEST, DIM, 1);
    return s;
}

typedef struct pair {
    double cosine;
    int row;
} pair;

static int by_cosine(const void *a, const void *b)
{
    const pair *p = a, *q = b;
    return p->cosine > q->cosine ? -1 : p->cosine < q->cosine ? 1 : p->row - q->row;
}

/* The definition, in double and without tiles or heaps. */
static void plain_knn(double *top1, double *top5, const random_set *s, int k, double temperature)
{
    static pair all[TRAIN];
    int hits1 = 0, hits5 = 0;
    for (int i = 0; i < TEST; i++) {
        double votes[CLASSES] = { 0 };
        int better = 0;
        for (int j = 0; j < TRAIN; j++) {
            all[j] = (pair){ 0, j };
            for (int d = 0; d < DIM; d++)
                all[j].cosine += (double)s->test[i * DIM + d] * (double)s->train[j * DIM + d];
        }
        qsort(all, TRAIN, sizeof *all, by_cosine);
        for (int j = 0; j < k; j++)
            votes[s->train_label[all[j].row]] += exp(all[j].cosine / temperature);
        double own = votes[s->test_label[i]];
        for (int c = 0; c < CLASSES; c++)
            better += votes[c] > own;
        hits1 += own > 0 && better == 0;
        hits5 += own > 0 && better < 5;
    }
    *top1 = 100.0 * hits1 / TEST;
    *top5 = 100.0 * hits5 / TEST;
}

static void tiles_heaps_and_threads_give_what_the_definition_gives(void **state)
{
    (void)state;
    random_set *s = random_rows();
    int k[4] = { 1, 20, 200, 1301 };
    /* At a high temperature the farthest of the k counts as much as the nearest. */
    const double temperature[2] = { 0.07, 100 };
    bw_labelled_rows train = { s->train, s->train_label, TRAIN }, test = { s->test, s->test_label, TEST };
    for (int t = 0; t < 2; t++) {
        double want1[4], want5[4];
        for (int i = 0; i < 4; i++)
            plain_knn(&want1[i], &want5[i], s, k[i], temperature[t]);
        assert_true(want1[1] > 10 && want1[1] < 90 && want5[1] > want1[1] && want5[1] < 100);
        for (int threads = 1; threads <= 3; threads++) {
            bw_knn_query some = { DIM, CLASSES, 3, k, temperature[t], threads };
            bw_knn_query every = { DIM, CLASSES, 1, k + 3, temperature[t], threads };
            double top1[4], top5[4];
            CHECK_OK(bw__knn_classify(top1, top5, &train, &test, &some, NULL));
            CHECK_OK(bw__knn_classify(top1 + 3, top5 + 3, &train, &test, &every, NULL));
            CHECK_CLOSE(top1, want1, 4, 0, 1e-9);
            CHECK_CLOSE(top5, want5, 4, 0, 1e-9);
        }
    }
    free(s);
}

static int stop_at_once(void *user, const char *what, double done)
{
    assert_string_equal(what, "neighbours");
    assert_true(done > 0 && done <= 1);
    ++*(int *)user;
    return 1;
}

enum { QUERIES = 150, BANK = 600, WIDTH = 7, NEAR = 5 };

/* Rows of `bank` by their cosine to one row, the larger first, the earlier row first among equal ones. */
static void plain_nearest(int64_t *row, double *cosine, const float *query, const float *bank)
{
    double all[BANK], square = 0.0;
    bool taken[BANK] = { false };
    for (int d = 0; d < WIDTH; d++)
        square += (double)query[d] * (double)query[d];
    for (int j = 0; j < BANK; j++) {
        double dot = 0.0, own = 0.0;
        for (int d = 0; d < WIDTH; d++) {
            dot += (double)query[d] * (double)bank[j * WIDTH + d];
            own += (double)bank[j * WIDTH + d] * (double)bank[j * WIDTH + d];
        }
        all[j] = own > 0.0 ? dot / sqrt(own * square) : 0.0;
    }
    for (int k = 0; k < NEAR; k++) {
        int best = -1;
        for (int j = 0; j < BANK; j++)
            if (!taken[j] && (best < 0 || all[j] > all[best])) best = j;
        taken[best] = true;
        row[k] = best;
        cosine[k] = all[best];
    }
}

/* More rows than a tile of either side; a row of zeros among them; the caller's rows stay as they are. */
static void nearest_rows_are_those_of_the_definition_for_any_number_of_threads(void **state)
{
    (void)state;
    static float query[QUERIES * WIDTH], bank[BANK * WIDTH], kept[BANK * WIDTH], cosine[2][QUERIES * NEAR];
    static int64_t row[2][QUERIES * NEAR];
    static double got[QUERIES * NEAR], want[QUERIES * NEAR];
    bw_rng r = bw__rng(8, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&r, query, QUERIES * WIDTH);
    r = bw__rng(8, BW_RNG_SYNTHETIC, 1, 0, 0);
    bw__rng_normal_f32(&r, bank, BANK * WIDTH);
    for (int d = 0; d < WIDTH; d++)
        bank[33 * WIDTH + d] = 0.0f;
    memcpy(kept, bank, sizeof bank);
    for (int t = 0; t < 2; t++)
        CHECK_OK(bw_nearest(row[t], cosine[t], query, QUERIES, bank, BANK, WIDTH, NEAR, t + 1));
    assert_memory_equal(row[0], row[1], sizeof row[0]);
    assert_memory_equal(cosine[0], cosine[1], sizeof cosine[0]);
    assert_memory_equal(bank, kept, sizeof bank);
    for (int i = 0; i < QUERIES; i++) {
        int64_t rows[NEAR];
        plain_nearest(rows, want + i * NEAR, query + i * WIDTH, bank);
        for (int k = 0; k < NEAR; k++) {
            assert_int_equal(row[0][i * NEAR + k], rows[k]);
            got[i * NEAR + k] = (double)cosine[0][i * NEAR + k];
        }
    }
    CHECK_CLOSE(got, want, QUERIES * NEAR, 1e-5, 1e-6);
}

static void nearest_rows_of_equal_cosine_are_the_earlier_ones(void **state)
{
    (void)state;
    const float query[2] = { 1, 0 }, bank[8] = { 0, 1, 2, 0, 5, 0, 1, 0 };
    int64_t row[3];
    CHECK_OK(bw_nearest(row, NULL, query, 1, bank, 4, 2, 3, 1));
    assert_true(row[0] == 1 && row[1] == 2 && row[2] == 3);
    assert_int_equal(bw_nearest(row, NULL, query, 1, bank, 4, 2, 5, 1), BW_EINVAL);
    assert_int_equal(bw_nearest(row, NULL, query, 0, bank, 4, 2, 1, 1), BW_EINVAL);
}

static void caller_can_stop_and_senseless_questions_are_refused(void **state)
{
    (void)state;
    float x[2] = { 1, 0 };
    int label = 0, k = 1, calls = 0;
    bw_labelled_rows rows = { x, &label, 1 }, none = { x, &label, 0 };
    bw_knn_query q = { 2, 2, 1, &k, 0.07, 1 };
    bw_progress p = { .fn = stop_at_once, .user = &calls, .what = "neighbours" };
    double a, b;
    assert_int_equal(bw__knn_classify(&a, &b, &rows, &rows, &q, &p), BW_EINTERRUPTED);
    assert_int_equal(calls, 1);
    assert_int_equal(bw__knn_classify(&a, &b, &none, &rows, &q, NULL), BW_EINVAL);
    k = 0;
    assert_int_equal(bw__knn_classify(&a, &b, &rows, &rows, &q, NULL), BW_EINVAL);
    k = 1;
    q.temperature = 0;
    assert_int_equal(bw__knn_classify(&a, &b, &rows, &rows, &q, NULL), BW_EINVAL);
    assert_string_equal(bw_last_error(), "nearest neighbours: temperature is 0; it must be above 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_divided_by_their_norm_and_zero_stays_zero),
        cmocka_unit_test(one_near_neighbour_outvotes_two_far_ones_by_the_exponential_weight),
        cmocka_unit_test(only_the_k_nearest_vote),
        cmocka_unit_test(equal_cosines_prefer_the_earlier_row_and_equal_votes_the_lower_class),
        cmocka_unit_test(low_temperature_does_not_overflow),
        cmocka_unit_test(a_class_without_votes_is_not_among_the_first_five),
        cmocka_unit_test(tiles_heaps_and_threads_give_what_the_definition_gives),
        cmocka_unit_test(nearest_rows_are_those_of_the_definition_for_any_number_of_threads),
        cmocka_unit_test(nearest_rows_of_equal_cosine_are_the_earlier_ones),
        cmocka_unit_test(caller_can_stop_and_senseless_questions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
