#include "check.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_outermost_of_nested_operations_counts),
        cmocka_unit_test(a_dry_run_and_an_exec_without_profile_count_nothing),
        cmocka_unit_test(rows_beyond_the_last_are_added_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
