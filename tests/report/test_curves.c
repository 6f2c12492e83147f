/* The curves of a run: what its metrics say, joined where there are more steps than points. */
#include "check.h"
#include "report/curves.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static char path[4200];

static int fresh_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", temp_folder());
    return 0;
}

static double at(const json_t *array, size_t i)
{
    const json_t *value = json_array_get(array, i);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const json_t *of_block(const json_t *curves, const char *set, size_t k, const char *name)
{
    const json_t *values = json_array_get(json_object_get(json_object_get(curves, set), "block"), k);
    return json_object_get(values, name);
}

/* Steps 1 .. n of two blocks: the loss of block 1 is the step, block 2 learns in even steps only. */
static void write_metrics(int n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 1; i <= n; i++) {
        fprintf(f,
                "{\"step\":%d,\"epoch\":0,\"lr\":0.5,\"loss\":[%d,%s],\"pull\":[%d,null],\"grad_norm\":[1,2]",
                i, i, i % 2 ? "null" : "8", 10 * i);
        if (i % 4 == 0) fprintf(f, ",\"embedding_std\":[0.5,0.25],\"effective_rank\":[3,4]");
        if (i == n) fprintf(f, ",\"probe_top1\":[12.5,25]");
        fprintf(f, ",\"samples_per_s\":%d,\"peak_rss_mb\":100}\n", 2 * i);
    }
    assert_int_equal(fclose(f), 0);
}

static void a_short_run_has_a_point_for_each_step(void **state)
{
    (void)state;
    json_t *c = NULL;
    write_metrics(6);
    CHECK_OK(bw__curves_read(&c, path));
    const json_t *step = json_object_get(json_object_get(c, "every_step"), "step");
    const json_t *run = json_object_get(json_object_get(c, "every_step"), "run");
    assert_int_equal(json_integer_value(json_object_get(c, "blocks")), 2);
    assert_int_equal(json_array_size(step), 6);
    assert_int_equal((int)at(step, 5), 6);
    assert_true(at(of_block(c, "every_step", 0, "loss"), 3) == 4.0);
    assert_true(at(of_block(c, "every_step", 0, "pull"), 3) == 40.0); /* a term of a loss nobody here knows */
    assert_true(json_is_null(json_array_get(of_block(c, "every_step", 1, "loss"), 2)));
    assert_true(at(of_block(c, "every_step", 1, "loss"), 3) == 8.0);
    assert_true(at(json_object_get(run, "samples_per_s"), 2) == 6.0);
    json_decref(c);
}

static void health_and_probe_have_steps_of_their_own(void **state)
{
    (void)state;
    json_t *c = NULL;
    write_metrics(9);
    CHECK_OK(bw__curves_read(&c, path));
    assert_int_equal(json_array_size(json_object_get(json_object_get(c, "health"), "step")), 2);
    assert_true(at(json_object_get(json_object_get(c, "health"), "step"), 1) == 8.0);
    assert_true(at(of_block(c, "health", 1, "embedding_std"), 1) == 0.25);
    assert_int_equal(json_array_size(of_block(c, "probe", 0, "probe_top1")), 1);
    assert_true(at(of_block(c, "probe", 1, "probe_top1"), 0) == 25.0);
    assert_null(of_block(c, "every_step", 0, "probe_top1_train")); /* never measured */
    json_decref(c);
}

/* 5000 steps in at most 1024 points: 8 in a point, the last one with what is left. */
static void a_long_run_is_joined_to_means(void **state)
{
    (void)state;
    json_t *c = NULL;
    write_metrics(5000);
    CHECK_OK(bw__curves_read(&c, path));
    const json_t *set = json_object_get(c, "every_step"), *step = json_object_get(set, "step");
    const json_t *loss = of_block(c, "every_step", 0, "loss");
    assert_int_equal(json_integer_value(json_object_get(set, "per_point")), 8);
    assert_int_equal(json_array_size(step), 625);
    assert_true(at(step, 0) == 8.0 && at(step, 624) == 5000.0);
    assert_true(at(loss, 0) == 4.5); /* the mean of 1 .. 8 */
    assert_true(at(loss, 624) == 4996.5);
    assert_true(at(of_block(c, "every_step", 1, "loss"), 3) == 8.0); /* of the four steps that have one */
    json_decref(c);
}

static void the_points_of_a_run_of_many_blocks_are_fewer(void **state)
{
    (void)state;
    json_t *c = NULL;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 1; i <= 300; i++) {
        fprintf(f, "{\"step\":%d,\"epoch\":0,\"lr\":0.5,\"loss\":[1", i);
        for (int k = 1; k < 16; k++)
            fprintf(f, ",%d", i + k);
        fprintf(f, "],\"samples_per_s\":1,\"peak_rss_mb\":1}\n");
    }
    assert_int_equal(fclose(f), 0);
    CHECK_OK(bw__curves_read(&c, path));
    assert_int_equal(json_array_size(of_block(c, "every_step", 15, "loss")), 150);
    assert_true(at(of_block(c, "every_step", 15, "loss"), 149) == 314.5);
    json_decref(c);
}

static void a_line_that_is_being_written_is_left_out(void **state)
{
    (void)state;
    json_t *c = NULL;
    write_metrics(3);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fprintf(f, "{\"step\":4,\"lo");
    assert_int_equal(fclose(f), 0);
    CHECK_OK(bw__curves_read(&c, path));
    assert_int_equal(json_integer_value(json_object_get(c, "steps")), 3);
    json_decref(c);
}

static void a_damaged_line_is_refused_with_its_number(void **state)
{
    (void)state;
    json_t *c = NULL;
    write_metrics(3);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fprintf(f, "nothing\n");
    assert_int_equal(fclose(f), 0);
    assert_int_equal(bw__curves_read(&c, path), BW_EDATA);
    assert_null(c);
    assert_non_null(strstr(bw_last_error(), "metrics.jsonl:4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_short_run_has_a_point_for_each_step, fresh_path),
        cmocka_unit_test_setup(health_and_probe_have_steps_of_their_own, fresh_path),
        cmocka_unit_test_setup(a_long_run_is_joined_to_means, fresh_path),
        cmocka_unit_test_setup(the_points_of_a_run_of_many_blocks_are_fewer, fresh_path),
        cmocka_unit_test_setup(a_line_that_is_being_written_is_left_out, fresh_path),
        cmocka_unit_test_setup(a_damaged_line_is_refused_with_its_number, fresh_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
