/* A program's own rules on several ranks make of a batch what they make of it on one. */
#include "on_ranks.h"
#include "train/own_rules.h"
#include "train/selftest_problem.h"
#include <stdio.h>
#include <string.h>

static void compare(bw_selftest_distance *d, const char *const *settings)
{
    bw_selftest_side one = { .grid = bw__grid_alone() }, all = { .grid = bw__grid_alone() };
    bw_network *start;
    CHECK_OK(bw__selftest_make(&one, NULL, settings));
    CHECK_OK(bw__selftest_make(&all, ranks, settings));
    CHECK_OK(bw__selftest_network(&start, &one.config));
    CHECK_OK(bw__selftest_train(&one));
    CHECK_OK(bw__selftest_train(&all));
    bw__selftest_compare(d, start, &one, &all);
    bw_network_free(start);
    bw__selftest_drop(&one);
    bw__selftest_drop(&all);
}

/* On one of three problems: rounding may move the input of a ReLU across 0 (docs/NUMERICS.md). */
static void assert_alike(const char *rule, const char *lr)
{
    bw_selftest_distance d = { .by_loss = 1.0 };
    const double limit = 3e-4;
    for (int i = 0; i < 3 && !(d.by_loss <= limit && d.by_weights <= limit); i++) {
        char seed[16], name[48];
        const char *settings[] = {
            "train.batch=16", "head.dim=64", "loss.name=custom", name, lr, seed, NULL
        };
        (void)snprintf(seed, sizeof seed, "seed=%d", i);
        (void)snprintf(name, sizeof name, "loss.rule=%s", rule);
        compare(&d, settings);
        CHECK_OK(bw__comm_broadcast(ranks, &d, sizeof d, 0)); /* ranks go on together */
        if (bw_comm_rank(ranks) == 0)
            print_message("%s: %g of losses, %g of weights, which moved %g\n", rule, d.by_loss, d.by_weights,
                          d.moved);
    }
    assert_true(d.by_loss <= limit && d.by_weights <= limit && d.by_weights > 0.0);
    assert_true(d.moved > 1e-5);
}

static void a_rule_that_sums_is_alike(void **state)
{
    (void)state;
    static own_barlow o = { .lambda = 0.0051 };
    const bw_rule rule = own_barlow_rule(&o);
    CHECK_OK(bw_rule_register(&rule));
    assert_alike("own-barlow", "optimizer.lr=0.5");
}

static void a_rule_that_gathers_is_alike(void **state)
{
    (void)state;
    const bw_rule rule = own_push_rule();
    CHECK_OK(bw_rule_register(&rule));
    assert_alike("own-push", "optimizer.lr=2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_sums_is_alike),
        cmocka_unit_test(a_rule_that_gathers_is_alike),
    };
    return RANKS_MAIN(tests);
}
