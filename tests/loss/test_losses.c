/* Every loss against its double twin: value, terms, and gradient by central differences; what must not change
 * it; and where numbers get large. */
#include "loss_case.h"
#include "loss_twins.h"
#include <stdio.h>

static double *as_double(const float *v, int64_t count)
{
    double *copy = malloc((size_t)count * sizeof *copy);
    assert_non_null(copy);
    for (int64_t i = 0; i < count; i++)
        copy[i] = (double)v[i];
    return copy;
}

static const char *term_of(bw_loss_name name, int i)
{
    const bw_loss_config config = { .name = name };
    return bw__loss_terms(&config)[i];
}

static int terms_of(bw_loss_name name)
{
    int n = 0;
    while (term_of(name, n))
        n++;
    return n;
}

static void check_against_twin(bw_loss_name name, int64_t n, int64_t d)
{
    const bw_loss_config config = loss_config(name);
    loss_case c = make_case(n, d);
    double *z = as_double(c.z, c.count), *want = malloc((size_t)c.count * sizeof *want);
    char what[64];
    assert_non_null(want);
    run_loss(&c, &config);
    twin_value twin = twin_loss(&config, z, c.labels, n, d);
    twin_gradient(want, &config, z, c.labels, n, d);
    CHECK_CLOSE(&c.value.total, &twin.total, 1, 1e-5, 0.0);
    CHECK_CLOSE(c.value.term, twin.term, (size_t)terms_of(name), 1e-5, 0.0);
    (void)snprintf(what, sizeof what, "gradient of loss %d at %d x %d", (int)name, (int)n, (int)d);
    (void)CHECK_NORM_F32(what, c.diff, want, (size_t)c.count, 1e-5);
    free(z);
    free(want);
    drop_case(&c);
}

static void every_loss_and_its_gradient_are_those_of_the_formula(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        check_against_twin(every_loss[l], 7, 5);
        check_against_twin(every_loss[l], 5, 9);
        check_against_twin(every_loss[l], 4, 70); /* more columns than a thread takes at a time */
    }
}

static void vicreg_has_dimensions_on_both_sides_of_the_hinge(void **state)
{
    (void)state; /* or the test above would not see half of the variance term */
    loss_case c = make_case(7, 5);
    double *z = as_double(c.z, c.count);
    int below = 0, above = 0;
    for (int64_t j = 0; j < c.d; j++) {
        double std = sqrt(twin_products(z, z, c.n, c.d, j, j) / (double)(c.n - 1));
        below += std < 0.97;
        above += std > 1.03;
    }
    assert_true(below >= 2 && above >= 2 && below + above == c.d);
    free(z);
    drop_case(&c);
}

static void scale_multiplies_loss_and_gradient_but_no_term(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        bw_loss_config config = loss_config(every_loss[l]);
        loss_case one = make_case(6, 4), four = make_case(6, 4);
        run_loss(&one, &config);
        config.scale *= 4.0;
        run_loss(&four, &config);
        double want = 4.0 * one.value.total;
        CHECK_CLOSE(&four.value.total, &want, 1, 1e-12, 0.0);
        CHECK_CLOSE(four.value.term, one.value.term, BW_LOSS_TERMS, 1e-12, 0.0);
        for (int64_t i = 0; i < one.count; i++)
            one.diff[i] *= 4.0f;
        CHECK_CLOSE_F32(four.diff, one.diff, (size_t)one.count, 1e-4, 1e-6);
        drop_case(&one);
        drop_case(&four);
    }
}

/* Row i of `to` is row order[i] of `from`, in both views. */
static void permute(loss_case *to, const loss_case *from, bool gradient)
{
    for (int64_t i = 0; i < from->n; i++) {
        int64_t other = (2 * i + 1) % from->n; /* n is odd: a permutation */
        for (int view = 0; view < 2; view++) {
            int64_t at = (view * from->n + i) * from->d, source = (view * from->n + other) * from->d;
            size_t bytes = (size_t)from->d * sizeof(float);
            if (gradient)
                memcpy(to->diff + at, from->diff + source, bytes);
            else
                memcpy(to->z + at, from->z + source, bytes);
        }
        to->labels[i] = from->labels[other];
    }
}

static void another_order_of_images_permutes_the_gradient(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        const bw_loss_config config = loss_config(every_loss[l]);
        loss_case plain = make_case(9, 6), mixed = make_case(9, 6), want = make_case(9, 6);
        run_loss(&plain, &config);
        permute(&mixed, &plain, false);
        run_loss(&mixed, &config);
        permute(&want, &plain, true);
        CHECK_CLOSE(&mixed.value.total, &plain.value.total, 1, 1e-5, 0.0);
        CHECK_CLOSE_F32(mixed.diff, want.diff, (size_t)plain.count, 1e-3, 1e-6);
        drop_case(&plain);
        drop_case(&mixed);
        drop_case(&want);
    }
}

static void exchanged_views_exchange_their_gradients(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        const bw_loss_config config = loss_config(every_loss[l]);
        loss_case plain = make_case(5, 6), swapped = make_case(5, 6);
        size_t half = (size_t)(plain.count / 2);
        memcpy(swapped.z, plain.z + half, half * sizeof(float));
        memcpy(swapped.z + half, plain.z, half * sizeof(float));
        run_loss(&plain, &config);
        run_loss(&swapped, &config);
        CHECK_CLOSE(&swapped.value.total, &plain.value.total, 1, 1e-5, 0.0);
        CHECK_CLOSE_F32(swapped.diff + half, plain.diff, half, 1e-3, 1e-6);
        CHECK_CLOSE_F32(swapped.diff, plain.diff + half, half, 1e-3, 1e-6);
        drop_case(&plain);
        drop_case(&swapped);
    }
}

static void simclr_does_not_see_the_length_of_an_embedding(void **state)
{
    (void)state;
    const bw_loss_config config = loss_config(BW_LOSS_SIMCLR);
    loss_case plain = make_case(6, 7), longer = make_case(6, 7);
    run_loss(&plain, &config);
    for (int64_t i = 0; i < plain.count; i++)
        longer.z[i] *= (float)(1 << (i / plain.d % 5));
    run_loss(&longer, &config);
    CHECK_CLOSE(&longer.value.total, &plain.value.total, 1, 1e-6, 0.0);
    for (int64_t i = 0; i < plain.count; i++)
        plain.diff[i] /= (float)(1 << (i / plain.d % 5));
    CHECK_CLOSE_F32(longer.diff, plain.diff, (size_t)plain.count, 1e-4, 1e-8);
    /* so the gradient stands at right angles to every embedding */
    for (int64_t row = 0; row < 2 * plain.n; row++) {
        double along = 0.0;
        for (int64_t j = row * plain.d; j < (row + 1) * plain.d; j++)
            along += (double)plain.z[j] * (double)longer.diff[j];
        assert_true(fabs(along) < 1e-6);
    }
    drop_case(&plain);
    drop_case(&longer);
}

static void barlow_does_not_see_scale_and_shift_of_a_dimension(void **state)
{
    (void)state;
    const bw_loss_config config = loss_config(BW_LOSS_BARLOW_TWINS);
    loss_case plain = make_case(8, 5), moved = make_case(8, 5);
    run_loss(&plain, &config);
    for (int64_t i = 0; i < plain.count; i++)
        moved.z[i] = moved.z[i] * (float)(1 << (i % plain.d)) + (float)(i % plain.d);
    run_loss(&moved, &config);
    CHECK_CLOSE(moved.value.term, plain.value.term, 2, 1e-4, 0.0);
    drop_case(&plain);
    drop_case(&moved);
}

static void vicreg_variance_and_covariance_do_not_see_a_shift(void **state)
{
    (void)state;
    const bw_loss_config config = loss_config(BW_LOSS_VICREG);
    loss_case plain = make_case(8, 5), moved = make_case(8, 5);
    run_loss(&plain, &config);
    for (int64_t i = 0; i < plain.count; i++)
        moved.z[i] += (float)(100 + i % plain.d);
    run_loss(&moved, &config);
    CHECK_CLOSE(moved.value.term, plain.value.term, 3, 1e-4, 0.0);
    drop_case(&plain);
    drop_case(&moved);
}

static void vicreg_of_collapsed_embeddings_is_the_hinge_alone(void **state)
{
    (void)state;
    bw_loss_config config = loss_config(BW_LOSS_VICREG);
    loss_case c = make_case(6, 4);
    for (int64_t i = 0; i < c.count; i++)
        c.z[i] = 0.25f * (float)(i % c.d);
    run_loss(&c, &config);
    /* std = sqrt(0 + 1e-4) = 0.01 in every dimension of both views: half of 0.99 each */
    const double want[3] = { 0.0, 0.99, 0.0 };
    CHECK_CLOSE(c.value.term, want, 3, 1e-9, 1e-12);
    drop_case(&c);
}

static void cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes(void **state)
{
    (void)state;
    bw_loss_config config = loss_config(BW_LOSS_CROSS_ENTROPY);
    loss_case c = make_case(6, 10);
    double want = log(10.0);
    config.scale = 1.0;
    for (int64_t i = 0; i < c.count; i++)
        c.z[i] = 3.5f;
    run_loss(&c, &config);
    CHECK_CLOSE(&c.value.total, &want, 1, 1e-7, 0.0);
    assert_true(c.value.term[0] == 0.0); /* a tie is no hit */
    drop_case(&c);
}

static void cross_entropy_stays_finite_with_large_logits(void **state)
{
    (void)state;
    bw_loss_config config = loss_config(BW_LOSS_CROSS_ENTROPY);
    loss_case c = make_case(4, 5);
    config.scale = 1.0;
    for (int64_t i = 0; i < c.count; i++)
        c.z[i] = i % c.d == c.labels[i / c.d % c.n] ? 3e37f : -3e37f;
    run_loss(&c, &config);
    assert_true(c.value.total == 0.0 && c.value.term[0] == 100.0);
    for (int64_t i = 0; i < c.count; i++) {
        assert_true(c.diff[i] == 0.0f);
        c.z[i] = -c.z[i] * 1e-33f;
    }
    run_loss(&c, &config); /* the label's logit is 6e4 below four equal ones */
    double want = 6e4 + log(4.0);
    CHECK_CLOSE(&c.value.total, &want, 1, 1e-6, 0.0);
    assert_true(c.value.term[0] == 0.0);
    drop_case(&c);
}

static void simclr_stays_finite_at_both_ends_of_the_temperature(void **state)
{
    (void)state;
    bw_loss_config config = loss_config(BW_LOSS_SIMCLR);
    loss_case c = make_case(4, 6);
    config.scale = 1.0;
    config.temperature = 1000.0; /* all rows alike: log of the number of the others */
    run_loss(&c, &config);
    double want = log(2.0 * 4.0 - 1.0);
    CHECK_CLOSE(&c.value.total, &want, 1, 1e-3, 0.0);
    /* Both views of an image are the same axis: at the lowest temperature nothing is left to learn. */
    for (int64_t i = 0; i < c.count; i++)
        c.z[i] = i % c.d == i / c.d % c.n ? 1e18f : 0.0f;
    config.temperature = 1e-3;
    run_loss(&c, &config);
    assert_true(c.value.total >= 0.0 && c.value.total < 1e-6 && c.value.term[0] == 100.0);
    /* And with the views of two images exchanged it is as wrong as it can be: cosine 0 against 1. */
    for (int64_t i = c.count / 2; i < c.count; i++)
        c.z[i] = i % c.d == (i / c.d + 1) % c.n ? 1e-18f : 0.0f;
    run_loss(&c, &config);
    want = 1000.0;
    CHECK_CLOSE(&c.value.total, &want, 1, 1e-6, 0.0);
    assert_true(c.value.term[0] == 0.0);
    for (int64_t i = 0; i < c.count; i++)
        assert_true(isfinite(c.diff[i]));
    drop_case(&c);
}

static void simclr_gives_an_embedding_of_length_0_no_gradient(void **state)
{
    (void)state;
    const bw_loss_config config = loss_config(BW_LOSS_SIMCLR);
    loss_case c = make_case(5, 6);
    memset(c.z + 2 * c.d, 0, (size_t)c.d * sizeof *c.z);
    run_loss(&c, &config);
    double others = 0.0;
    for (int64_t i = 0; i < c.count; i++) {
        assert_true(isfinite(c.diff[i]));
        if (i / c.d == 2) assert_true(c.diff[i] == 0.0f);
        others += fabs((double)c.diff[i]);
    }
    assert_true(others > 0.01);
    drop_case(&c);
}

static void a_nan_in_the_embeddings_is_reported_by_every_loss(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++)
        for (int at = 0; at < 2; at++) {
            const bw_loss_config config = loss_config(every_loss[l]);
            loss_case c = make_case(6, 4);
            c.z[at * 29] = NAN; /* of the first and of the second view, */
            assert_int_equal(try_loss(&c, &config, 2), BW_ENONFINITE);
            c.z[at * 29] = INFINITY;
            assert_int_equal(try_loss(&c, &config, 2), BW_ENONFINITE);
            drop_case(&c);
        }
}

static void a_label_out_of_range_is_named(void **state)
{
    (void)state;
    static const int wrong[] = { -1, 4, -2, 1000000 };
    const bw_loss_config config = loss_config(BW_LOSS_CROSS_ENTROPY);
    for (int i = 0; i < 4; i++) {
        char text[64];
        loss_case c = make_case(6, 4);
        c.labels[5] = wrong[i];
        assert_int_equal(try_loss(&c, &config, 2), BW_EDATA);
        (void)snprintf(text, sizeof text, "image 6 of the batch has label %d", wrong[i]);
        assert_non_null(strstr(bw_last_error(), text));
        assert_non_null(strstr(bw_last_error(), "from 0 to 3"));
        drop_case(&c);
    }
}

static void only_cross_entropy_asks_for_labels(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        const bw_loss_config config = loss_config(every_loss[l]);
        loss_case c = make_case(6, 4);
        int *labels = c.labels;
        bool needs = every_loss[l] == BW_LOSS_CROSS_ENTROPY;
        assert_true(bw__loss_needs_labels(&config) == needs);
        c.labels = NULL;
        assert_int_equal(try_loss(&c, &config, 2), needs ? BW_EINVAL : BW_OK);
        c.labels = labels;
        drop_case(&c);
    }
}

static void losses_that_compare_images_refuse_a_batch_of_one(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        const bw_loss_config config = loss_config(every_loss[l]);
        loss_case c = make_case(1, 4);
        bool compares = every_loss[l] != BW_LOSS_CROSS_ENTROPY;
        assert_int_equal(try_loss(&c, &config, 2), compares ? BW_EINVAL : BW_OK);
        if (compares) assert_non_null(strstr(bw_last_error(), "at least 2 images"));
        drop_case(&c);
    }
}

static void terms_have_names_that_no_other_loss_has(void **state)
{
    (void)state;
    for (int l = 0; l < EVERY_LOSS; l++) {
        assert_in_range(terms_of(every_loss[l]), 1, BW_LOSS_TERMS);
        for (int m = 0; m < l; m++)
            for (int i = 0; i < terms_of(every_loss[l]); i++)
                for (int j = 0; j < terms_of(every_loss[m]); j++)
                    assert_string_not_equal(term_of(every_loss[l], i), term_of(every_loss[m], j));
    }
}

static void rows_of_cross_entropy_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    const bw_loss_config config = loss_config(BW_LOSS_CROSS_ENTROPY);
    loss_case one = make_case(37, 11), three = make_case(37, 11);
    CHECK_OK(try_loss(&one, &config, 1));
    CHECK_OK(try_loss(&three, &config, 3));
    assert_memory_equal(&one.value, &three.value, sizeof one.value);
    assert_memory_equal(one.diff, three.diff, (size_t)one.count * sizeof *one.diff);
    drop_case(&one);
    drop_case(&three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loss_and_its_gradient_are_those_of_the_formula),
        cmocka_unit_test(vicreg_has_dimensions_on_both_sides_of_the_hinge),
        cmocka_unit_test(scale_multiplies_loss_and_gradient_but_no_term),
        cmocka_unit_test(another_order_of_images_permutes_the_gradient),
        cmocka_unit_test(exchanged_views_exchange_their_gradients),
        cmocka_unit_test(simclr_does_not_see_the_length_of_an_embedding),
        cmocka_unit_test(barlow_does_not_see_scale_and_shift_of_a_dimension),
        cmocka_unit_test(vicreg_variance_and_covariance_do_not_see_a_shift),
        cmocka_unit_test(vicreg_of_collapsed_embeddings_is_the_hinge_alone),
        cmocka_unit_test(cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes),
        cmocka_unit_test(cross_entropy_stays_finite_with_large_logits),
        cmocka_unit_test(simclr_stays_finite_at_both_ends_of_the_temperature),
        cmocka_unit_test(simclr_gives_an_embedding_of_length_0_no_gradient),
        cmocka_unit_test(a_nan_in_the_embeddings_is_reported_by_every_loss),
        cmocka_unit_test(a_label_out_of_range_is_named),
        cmocka_unit_test(only_cross_entropy_asks_for_labels),
        cmocka_unit_test(losses_that_compare_images_refuse_a_batch_of_one),
        cmocka_unit_test(terms_have_names_that_no_other_loss_has),
        cmocka_unit_test(rows_of_cross_entropy_do_not_depend_on_the_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
