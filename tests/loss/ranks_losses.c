/* Losses of a batch that several ranks share: the same as one rank has with all of it. */
#include "loss_case.h"
#include "loss_twins.h"
#include "on_ranks.h"
#include "base/error.h"

/* A batch, and this rank's part of it. */
typedef struct shared_case {
    bw_loss_config config;
    loss_case whole, part;
    float *want; /* [2, n, d] what the whole batch's gradient has for the part */
} shared_case;

/* This rank's n rows of both views. */
static void take_part(float *part, const float *whole, int64_t n, int64_t d)
{
    int64_t rank = bw_comm_rank(ranks), size = bw_comm_size(ranks);
    for (int view = 0; view < 2; view++)
        memcpy(part + view * n * d, whole + (view * size + rank) * n * d, (size_t)(n * d) * sizeof *part);
}

/* Images of one rank have more to do with each other than with those of the others. */
static shared_case make_shared(bw_loss_name name, int64_t n, int64_t d)
{
    int64_t rank = bw_comm_rank(ranks), size = bw_comm_size(ranks);
    shared_case s = { .config = loss_config(name), .whole = make_case(n * size, d), .part = make_case(n, d) };
    for (int64_t i = 0; i < s.whole.count; i++) {
        double of = (double)(i / (n * d) % size);
        s.whole.z[i] = (float)((1.0 + 0.5 * of) * (double)s.whole.z[i] + (i % 3 == 0 ? 0.6 : -0.3) * of);
    }
    take_part(s.part.z, s.whole.z, n, d);
    memcpy(s.part.labels, s.whole.labels + rank * n, (size_t)n * sizeof *s.part.labels);
    s.part.comm = ranks;
    s.want = malloc((size_t)s.part.count * sizeof *s.want);
    assert_non_null(s.want);
    return s;
}

static void drop_shared(shared_case *s)
{
    drop_case(&s->whole);
    drop_case(&s->part);
    free(s->want);
}

/* One rank with all of it, and all ranks with their parts. */
static void run_shared(shared_case *s)
{
    CHECK_OK(try_loss(&s->whole, &s->config, 1));
    CHECK_OK(try_loss(&s->part, &s->config, 1));
    take_part(s->want, s->whole.diff, s->part.n, s->part.d);
}

static double difference_of_values(const shared_case *s)
{
    return fabs(s->part.value.total / s->whole.value.total - 1.0);
}

static double difference_of_gradients(const shared_case *s)
{
    return ranks_difference(s->part.diff, s->want, s->part.count);
}

static void check_shared(bw_loss_name name, int64_t n, int64_t d, double allowed)
{
    shared_case s = make_shared(name, n, d);
    run_shared(&s);
    CHECK_CLOSE(&s.part.value.total, &s.whole.value.total, 1, 1e-6, 0.0);
    CHECK_CLOSE(s.part.value.term, s.whole.value.term, BW_LOSS_TERMS, 1e-6, 0.0);
    if (!(difference_of_gradients(&s) < allowed))
        fail_msg("loss %d, %d x %d: gradient off by %g", (int)name, (int)n, (int)d,
                 difference_of_gradients(&s));
    drop_shared(&s);
}

static void every_loss_is_that_of_one_rank_with_the_whole_batch(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        check_shared(every_loss[l], 3, 70, 1e-5); /* more columns than a thread takes at a time */
        check_shared(every_loss[l], 5, 4, 1e-5);
        check_shared(every_loss[l], 40, 9, 1e-5);
    }
}

/* Two standardised images are 1 and -1 whatever they were, so the gradient of Barlow Twins through them is
 * what is left of terms that cancel. */
static void one_image_on_each_rank_is_enough(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++)
        check_shared(every_loss[l], 1, 6, 1e-4);
}

static void every_loss_and_its_gradient_are_those_of_the_formula(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        shared_case s = make_shared(every_loss[l], 2, 5);
        const loss_case *whole = &s.whole;
        double *z = malloc((size_t)whole->count * sizeof *z),
               *diff = malloc((size_t)whole->count * sizeof *z);
        assert_true(z && diff);
        for (int64_t i = 0; i < whole->count; i++)
            z[i] = (double)whole->z[i];
        twin_value twin = twin_loss(&s.config, z, whole->labels, whole->n, whole->d);
        twin_gradient(diff, &s.config, z, whole->labels, whole->n, whole->d);
        for (int64_t i = 0; i < whole->count; i++)
            whole->diff[i] = (float)diff[i];
        take_part(s.want, whole->diff, s.part.n, s.part.d);
        CHECK_OK(try_loss(&s.part, &s.config, 2));
        CHECK_CLOSE(&s.part.value.total, &twin.total, 1, 1e-5, 0.0);
        CHECK_CLOSE(s.part.value.term, twin.term, BW_LOSS_TERMS, 1e-5, 0.0);
        assert_true(difference_of_gradients(&s) < 1e-5);
        free(z);
        free(diff);
        drop_shared(&s);
    }
}

/* Where exp of a row with itself, which has no place in the loss, is infinite. */
static void simclr_stays_finite_at_the_lowest_temperature(void **state)
{
    (void)state;
    shared_case s = make_shared(BW_LOSS_SIMCLR, 4, 6);
    s.config.temperature = 1e-3;
    run_shared(&s);
    CHECK_CLOSE(&s.part.value.total, &s.whole.value.total, 1, 1e-5, 0.0);
    assert_true(difference_of_gradients(&s) < 1e-3);
    drop_shared(&s);
}

static void value_has_the_same_bits_on_every_rank(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        shared_case s = make_shared(every_loss[l], 7, 33);
        bw_loss_value all[64];
        CHECK_OK(try_loss(&s.part, &s.config, 1));
        CHECK_OK(bw__comm_gather(ranks, all, &s.part.value, sizeof s.part.value));
        for (int r = 0; r < bw_comm_size(ranks); r++)
            assert_memory_equal(&all[r], &s.part.value, sizeof s.part.value);
        drop_shared(&s);
    }
}

/* What the comparison above is there for. */
static void loss_of_a_rank_alone_and_an_averaged_gradient_are_told_apart(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        shared_case s = make_shared(every_loss[l], 6, 11);
        run_shared(&s);
        for (int64_t i = 0; i < s.part.count; i++)
            s.part.diff[i] /= (float)bw_comm_size(ranks);
        assert_true(difference_of_gradients(&s) > 0.3);
        s.part.comm = NULL;
        run_shared(&s);
        assert_true(difference_of_values(&s) > 1e-3);
        assert_true(difference_of_gradients(&s) > 0.1);
        drop_shared(&s);
    }
}

static void a_nan_of_one_rank_is_found_by_all(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++)
        for (int at = 0; at < 2; at++) {
            shared_case s = make_shared(every_loss[l], 3, 4);
            if (bw_comm_rank(ranks) == bw_comm_size(ranks) - 1) s.part.z[at * 17] = at ? INFINITY : NAN;
            assert_int_equal(try_loss(&s.part, &s.config, 1), BW_ENONFINITE);
            drop_shared(&s);
        }
    CHECK_OK(bw__comm_barrier(ranks)); /* nobody waits in a sum of before */
}

static void a_wrong_label_of_one_rank_ends_the_step_of_all(void **state)
{
    (void)state;
    int rank = bw_comm_rank(ranks);
    shared_case s = make_shared(BW_LOSS_CROSS_ENTROPY, 3, 4);
    if (rank == 1) s.part.labels[2] = 4;
    assert_int_equal(try_loss(&s.part, &s.config, 1), rank == 1 ? BW_EDATA : BW_EREMOTE);
    assert_non_null(strstr(bw_last_error(), rank == 1 ? "image 3 of this rank's batch has label 4"
                                                      : "labels of another rank"));
    s.part.labels[2] = 0;
    CHECK_OK(try_loss(&s.part, &s.config, 1));
    drop_shared(&s);
}

static void a_sum_that_failed_is_not_taken_for_a_loss(void **state)
{
    (void)state;
    bw_exec x;
    bw_loss *loss = NULL;
    shared_case s = make_shared(BW_LOSS_CROSS_ENTROPY, 3, 4);
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__arena_create(&x.arena, 4096));
    CHECK_OK(bw__loss_create(&loss, &x, &s.config, 3, 4));
    x.remote = BW_EREMOTE;
    s.part.z[1] = NAN;
    assert_int_equal(bw__loss_run(loss, &x, &s.part.value, s.part.diff, s.part.z, s.part.labels), BW_EREMOTE);
    bw__loss_free(loss);
    bw__exec_destroy(&x);
    drop_shared(&s);
}

static int64_t bytes_so_far(void)
{
    return bw__comm_count(BW_COMM_SUM).bytes + bw__comm_count(BW_COMM_GATHER).bytes;
}

static int64_t bytes_by_the_formula(bw_loss_name name, int64_t n, int64_t d)
{
    switch (name) {
    case BW_LOSS_BARLOW_TWINS:
        return 4 * d * d + 64 * d; /* the latter for batch norm */
    case BW_LOSS_VICREG:
        return 4 * d * d + 36 * d + 8;
    case BW_LOSS_SIMCLR:
        return 2 * n * (4 * d + 24);
    case BW_LOSS_CROSS_ENTROPY:
        return 24;
    case BW_LOSS_CUSTOM:
        break;
    }
    return -1;
}

static void bytes_given_to_the_other_ranks_are_those_of_the_formula(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        shared_case s = make_shared(every_loss[l], 5, 12);
        int64_t before = bytes_so_far();
        CHECK_OK(try_loss(&s.part, &s.config, 1));
        assert_int_equal(bytes_so_far() - before, bytes_by_the_formula(every_loss[l], 5, 12));
        drop_shared(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loss_is_that_of_one_rank_with_the_whole_batch),
        cmocka_unit_test(one_image_on_each_rank_is_enough),
        cmocka_unit_test(every_loss_and_its_gradient_are_those_of_the_formula),
        cmocka_unit_test(simclr_stays_finite_at_the_lowest_temperature),
        cmocka_unit_test(value_has_the_same_bits_on_every_rank),
        cmocka_unit_test(loss_of_a_rank_alone_and_an_averaged_gradient_are_told_apart),
        cmocka_unit_test(a_nan_of_one_rank_is_found_by_all),
        cmocka_unit_test(a_wrong_label_of_one_rank_ends_the_step_of_all),
        cmocka_unit_test(a_sum_that_failed_is_not_taken_for_a_loss),
        cmocka_unit_test(bytes_given_to_the_other_ranks_are_those_of_the_formula),
    };
    return RANKS_MAIN(tests);
}
