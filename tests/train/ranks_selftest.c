/* label: slow. The self-test of ranks: it passes, and it sees the two mistakes that such programs make, in
 * every loss, head and order. */
#include "on_ranks.h"
#include "train/selftest.h"
#include <stdio.h>

typedef struct seen {
    int checks, passed;
    double least[3]; /* of the differences of any check: losses, statistics, weights */
} seen;

static void note(void *user, const bw_ranks_check *c)
{
    seen *s = user;
    const double by[3] = { c->by_loss, c->by_statistics, c->by_weights };
    for (int i = 0; i < 3; i++)
        if (s->checks == 0 || by[i] < s->least[i]) s->least[i] = by[i];
    s->checks++;
    if (c->passed) s->passed++;
    assert_true(c->moved > 0.01 && c->moved < 0.2); /* the weights go somewhere, and not astray */
    if (!c->passed && bw_comm_rank(ranks) == 0)
        print_message("%s, %s, %s: %g of losses, %g of statistics, %g of weights after %d tries\n", c->order,
                      c->head, c->loss, c->by_loss, c->by_statistics, c->by_weights, c->tries);
}

static seen run(bw_rank_mistake mistake, bool *passed)
{
    seen s = { 0 };
    CHECK_OK(bw__selftest_ranks(passed, ranks, mistake, note, &s));
    assert_int_equal(s.checks, bw__selftest_ranks_checks());
    return s;
}

static void ranks_compute_what_one_does(void **state)
{
    (void)state;
    bool passed;
    seen s = run(BW_RANKS_RIGHT, &passed);
    assert_true(passed);
    assert_int_equal(s.passed, s.checks);
    assert_true(s.least[2] > 0.0); /* not the same run compared with itself */
}

static void an_averaged_gradient_is_seen_by_every_check(void **state)
{
    (void)state;
    bool passed;
    seen s = run(BW_RANKS_AVERAGE_GRADIENTS, &passed);
    assert_false(passed);
    assert_int_equal(s.passed, 0);
    assert_true(s.least[2] > 0.3); /* the weights go half of the way, or less */
}

static void statistics_of_own_images_are_seen_by_every_check(void **state)
{
    (void)state;
    bool passed;
    seen s = run(BW_RANKS_LOCAL_STATISTICS, &passed);
    assert_false(passed);
    assert_int_equal(s.passed, 0);
    assert_true(s.least[0] > 1e-3 && s.least[1] > 1e-3 && s.least[2] > 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_compute_what_one_does),
        cmocka_unit_test(an_averaged_gradient_is_seen_by_every_check),
        cmocka_unit_test(statistics_of_own_images_are_seen_by_every_check),
    };
    return RANKS_MAIN(tests);
}
