#include "check.h"
#include "base/clock.h"
#include "nn/exec.h"
#include "blockwise/status.h"
#include <stdio.h>

static void only_the_outermost_of_nested_operations_counts(void **state)
{
    (void)state;
    bw_exec x;
    bw_profile p = { 0 };
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__arena_create(&x.arena, 64));
    x.profile = &p;
    for (int i = 0; i < 3; i++) {
        double outer = bw__profile_begin(&x);
        double inner = bw__profile_begin(&x);
        bw__profile_end(&x, inner, "product", "", 5);
        bw__profile_end(&x, outer, "head", "forward", 7);
    }
    double alone = bw__profile_begin(&x);
    bw__profile_end(&x, alone, "head", "backward", 11);
    assert_int_equal(p.n, 2);
    assert_string_equal(p.rows[0].what, "head");
    assert_string_equal(p.rows[0].pass, "forward");
    assert_int_equal(p.rows[0].calls, 3);
    assert_int_equal(p.rows[0].flops, 21);
    assert_int_equal(p.rows[1].calls, 1);
    assert_int_equal(p.rows[1].flops, 11);
    assert_true(p.rows[0].seconds > 0.0 && p.rows[0].seconds < 1.0);
    bw__exec_destroy(&x);
}

static void a_dry_run_and_an_exec_without_profile_count_nothing(void **state)
{
    (void)state;
    bw_exec x;
    bw_profile p = { 0 };
    CHECK_OK(bw__exec_create(&x, 1)); /* its arena is dry */
    bw__profile_end(&x, bw__profile_begin(&x), "head", "forward", 1);
    x.profile = &p;
    bw__profile_end(&x, bw__profile_begin(&x), "head", "forward", 1);
    assert_int_equal(p.n, 0);
    assert_int_equal(p.depth, 0);
    bw__exec_destroy(&x);
}

static void rows_beyond_the_last_are_added_to_it(void **state)
{
    (void)state;
    enum { MORE = BW_MAX_PROFILE_ROWS + 2 };
    static char names[MORE][16];
    bw_exec x;
    bw_profile p = { 0 };
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__arena_create(&x.arena, 64));
    x.profile = &p;
    for (int i = 0; i < MORE; i++) {
        (void)snprintf(names[i], sizeof names[i], "%d", i);
        bw__profile_end(&x, bw__profile_begin(&x), names[i], "", 1);
    }
    assert_int_equal(p.n, BW_MAX_PROFILE_ROWS);
    assert_int_equal(p.rows[BW_MAX_PROFILE_ROWS - 1].calls, 3);
    bw__exec_destroy(&x);
}

static void wait_ms(int ms)
{
    double end = bw__now_s() + 1e-3 * ms;
    while (bw__now_s() < end) {
    }
}

static void what_is_apart_is_not_counted_as_part_of_its_operation(void **state)
{
    (void)state;
    bw_exec x;
    bw_profile p = { 0 };
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__arena_create(&x.arena, 64));
    x.profile = &p;
    double outer = bw__profile_begin(&x), inner = bw__profile_begin(&x);
    wait_ms(2);
    double apart = bw__profile_begin_apart(&x);
    wait_ms(200); /* so long that a busy machine adds less to the rest */
    bw__profile_end_apart(&x, apart, "ranks", "sum");
    bw__profile_end(&x, inner, "product", "", 0);
    bw__profile_end(&x, outer, "head", "forward", 0);
    apart = bw__profile_begin_apart(&x); /* inside of none */
    wait_ms(5);
    bw__profile_end_apart(&x, apart, "ranks", "sum");
    outer = bw__profile_begin(&x);
    wait_ms(2);
    bw__profile_end(&x, outer, "head", "forward", 0);
    assert_int_equal(p.n, 2);
    assert_string_equal(p.rows[0].what, "ranks");
    assert_int_equal(p.rows[0].calls, 2);
    assert_true(p.rows[0].seconds >= 0.205);
    assert_true(p.rows[1].seconds >= 0.004 && p.rows[1].seconds < 0.200);
    bw__exec_destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_outermost_of_nested_operations_counts),
        cmocka_unit_test(a_dry_run_and_an_exec_without_profile_count_nothing),
        cmocka_unit_test(rows_beyond_the_last_are_added_to_it),
        cmocka_unit_test(what_is_apart_is_not_counted_as_part_of_its_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
