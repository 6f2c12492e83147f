/* Shares of the blocks, and what blocks cost. */
#include "check.h"
#include "base/rng.h"
#include "blockwise/rule.h"
#include "train/balance.h"
#include <math.h>

/* Largest row where the bits of `cuts` say behind which blocks a row ends. */
static double largest_row(const double *cost, int n, unsigned cuts)
{
    double largest = 0.0, row = 0.0;
    for (int k = 0; k < n; k++) {
        row += cost[k];
        if (k == n - 1 || (cuts >> k & 1U) != 0) {
            largest = fmax(largest, row);
            row = 0.0;
        }
    }
    return largest;
}

static int bits(unsigned x)
{
    int n = 0;
    for (; x; x &= x - 1)
        n++;
    return n;
}

static double best_of_all(const double *cost, int n, int rows)
{
    double best = (double)INFINITY;
    for (unsigned cuts = 0; cuts < 1U << (n - 1); cuts++)
        if (bits(cuts) == rows - 1) best = fmin(best, largest_row(cost, n, cuts));
    return best;
}

static void no_other_shares_have_a_smaller_largest_row(void **state)
{
    (void)state;
    bw_rng r = bw__rng(3, BW_RNG_SYNTHETIC, 0, 0, 0);
    for (int trial = 0; trial < 200; trial++) {
        double cost[9];
        int begin[10], n = 1 + (int)bw__rng_below(&r, 9), rows = 1 + (int)bw__rng_below(&r, (uint64_t)n);
        for (int k = 0; k < n; k++)
            cost[k] = bw__rng_uniform_f64(&r);
        double largest = bw__balance(begin, cost, n, rows), seen = 0.0;
        assert_int_equal(begin[0], 0);
        assert_int_equal(begin[rows], n);
        for (int i = 0; i < rows; i++) {
            double row = 0.0;
            assert_true(begin[i] < begin[i + 1]);
            for (int k = begin[i]; k < begin[i + 1]; k++)
                row += cost[k];
            seen = fmax(seen, row);
        }
        assert_true(fabs(seen - largest) < 1e-12);
        assert_true(fabs(largest - best_of_all(cost, n, rows)) < 1e-12);
    }
}

static void blocks_that_cost_nothing_are_shared_too(void **state)
{
    (void)state;
    const double cost[4] = { 0.0, 0.0, 0.0, 0.0 };
    int begin[5];
    (void)bw__balance(begin, cost, 4, 4);
    for (int r = 0; r <= 4; r++)
        assert_int_equal(begin[r], r);
}

static bw_config small_config(const char *extra)
{
    static const char *const base[] = { "model.arch=resnet18",
                                        "model.width=16",
                                        "model.stem=cifar",
                                        "data.image_size=32",
                                        "train.batch=12",
                                        "projector.widths=[64,64,64]",
                                        "threads=1" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    if (extra) CHECK_OK(bw_config_set(&c, extra));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

static void costs_are_of_every_block_that_is_run(void **state)
{
    (void)state;
    const struct {
        const char *setting;
        int blocks;
    } cases[] = {
        { NULL, 4 },
        { "train.blocks=[3]", 3 },
        { "train.order=sequential", 4 },
        { "train.split=3", 4 },
        { "optimizer.name=adamw", 4 },
        { "blocks[3].optimizer.name=adamw", 4 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bw_config c = small_config(cases[i].setting);
        bw_block_costs costs;
        CHECK_OK(bw__block_costs(&costs, &c));
        assert_int_equal(costs.blocks, cases[i].blocks);
        for (int k = 0; k < BW_MAX_BLOCKS; k++) {
            assert_true(costs.constant_s[k] >= 0.0 && costs.image_s[k] >= 0.0);
            assert_int_equal(bw__block_cost_s(&costs, k, 12) > 0.0, k < cases[i].blocks);
            if (k >= cases[i].blocks) continue;
            assert_true(costs.images[k][0] < costs.images[k][1] && costs.images[k][1] <= 12);
        }
    }
}

/* A block that only passes on has neither head nor loss nor backward pass: it must be far cheaper. */
static void a_frozen_block_costs_less_than_one_that_learns(void **state)
{
    (void)state;
    bw_config learns = small_config(NULL), frozen = small_config("train.blocks=[2,3,4]");
    bw_block_costs a, b;
    CHECK_OK(bw__block_costs(&a, &learns));
    CHECK_OK(bw__block_costs(&b, &frozen));
    assert_true(bw__block_cost_s(&b, 0, 12) < 0.7 * bw__block_cost_s(&a, 0, 12));
}

static bw_status count_call(void *user, bw_rule_call *call)
{
    (void)call;
    ++*(int *)user;
    return bw_error_set(BW_EINVAL, "two images are too few");
}

static void a_rule_of_the_program_is_not_called(void **state)
{
    (void)state;
    static int calls;
    const bw_rule rule = { .name = "not-now", .needs_labels = true, .run = count_call, .user = &calls };
    const char *const settings[] = { "loss={name: custom, rule: not-now}",
                                     "blocks[3].loss={name: custom, rule: not-now}" };
    CHECK_OK(bw_rule_register(&rule));
    for (int i = 0; i < 2; i++) {
        bw_config c = small_config(settings[i]);
        bw_block_costs costs;
        CHECK_OK(bw__block_costs(&costs, &c));
        assert_int_equal(costs.blocks, 4);
        assert_true(bw__block_cost_s(&costs, 2, 12) > 0.0);
    }
    assert_int_equal(calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_other_shares_have_a_smaller_largest_row),
        cmocka_unit_test(blocks_that_cost_nothing_are_shared_too),
        cmocka_unit_test(costs_are_of_every_block_that_is_run),
        cmocka_unit_test(a_frozen_block_costs_less_than_one_that_learns),
        cmocka_unit_test(a_rule_of_the_program_is_not_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
