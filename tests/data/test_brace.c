#include "check.h"
#include "base/error.h"
#include "data/brace.h"
#include <stdio.h>
#include <string.h>

/* The words with a space between them. */
static void expect(const char *pattern, const char *want)
{
    char got[1000] = "";
    bw_words words;
    CHECK_OK(bw__brace_expand(&words, pattern));
    for (int64_t i = 0; i < words.n; i++) {
        const size_t n = strlen(got);
        (void)snprintf(got + n, sizeof got - n, "%s%s", i ? " " : "", words.at[i]);
    }
    bw__words_clear(&words);
    assert_string_equal(got, want);
}

/* Each as bash's echo prints it. */
static void patterns_expand_as_in_bash(void **state)
{
    (void)state;
    expect("plain.tar", "plain.tar");
    expect("x-{008..011}.tar", "x-008.tar x-009.tar x-010.tar x-011.tar");
    expect("x-{3..1}", "x-3 x-2 x-1");
    expect("{0..10..4}{a,b}", "0a 0b 4a 4b 8a 8b");
    expect("{-01..1}", "-01 000 001");
    expect("{train,val}/s-{0..1}.tar", "train/s-0.tar train/s-1.tar val/s-0.tar val/s-1.tar");
    expect("a{b,c{1..2},}d", "abd ac1d ac2d ad");
}

static void braces_that_mean_nothing_stay(void **state)
{
    (void)state;
    expect("{x}", "{x}");
    expect("{x{1,2}}", "{x1} {x2}");
    expect("a{b", "a{b");
    expect("a}b{1..x}", "a}b{1..x}");
    assert_false(bw__brace_has("a{b}c"));
    assert_true(bw__brace_has("a{b,}c"));
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    bw_words words;
    assert_int_equal(bw__brace_expand(&words, "{1..2000}{1..2000}"), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "1000000"));
    bw__words_clear(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_expand_as_in_bash),
        cmocka_unit_test(braces_that_mean_nothing_stay),
        cmocka_unit_test(too_many_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
