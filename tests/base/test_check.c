/* The comparison every test rests on must itself be able to fail. */
#include "check.h"
#include <math.h>

static void comparison_fails_on_wrong_nan_and_empty(void **state)
{
    (void)state;
    double a[3] = { 1, 2, 3 }, b[3] = { 1, 2, 3.01 }, c[3] = { 1, (double)NAN, 3 };
    assert_true(check_is_close(a, a, 3, 0, 0));
    assert_false(check_is_close(a, b, 3, 1e-3, 0));
    assert_false(check_is_close(c, a, 3, 1e9, 1e9));
    assert_false(check_is_close(a, c, 3, 1e9, 1e9));
    assert_false(check_is_close(a, a, 0, 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(comparison_fails_on_wrong_nan_and_empty) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
