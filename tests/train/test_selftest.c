#include "check.h"
#include "train/selftest.h"
#include <string.h>

typedef struct seen {
    int checks, gradients, threads;
    bool exact; /* a check found no difference at all */
} seen;

static void note(void *user, const bw_machine_check *c)
{
    seen *s = user;
    s->checks++;
    s->gradients += strstr(c->what, "gradient against slope, ") != NULL;
    s->threads += strstr(c->what, "all threads against one, ") != NULL;
    s->exact = s->exact || c->difference == 0.0;
    if (!c->passed) fail_msg("%s: %g, limit %g", c->what, c->difference, c->limit);
}

#define ONE(end, word, ops) +1
enum { LOSSES = BW_LOSS_LIST(ONE) };
#undef ONE

static void this_machine_computes_right(void **state)
{
    (void)state;
    seen s = { 0 };
    bool passed = false;
    CHECK_OK(bw__selftest_machine(&passed, 2, note, &s));
    assert_true(passed);
    assert_int_equal(s.gradients, LOSSES);
    assert_int_equal(s.threads, LOSSES);
    assert_true(s.checks >= 12 + 2 * LOSSES);
    assert_false(s.exact); /* nothing is compared with itself */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(this_machine_computes_right) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
