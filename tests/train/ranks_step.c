/* Steps on several ranks against the same steps on one, for what the self-test leaves out: other optimisers,
 * orders, parts, bf16; and what must be the same to the last bit. */
#include "on_ranks.h"
#include "base/clock.h"
#include "base/memory.h"
#include "blockwise/plan.h"
#include "train/selftest_problem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETTINGS = 14 };

static void assert_same_bits_on_all_ranks(const bw_network *net)
{
    for (int k = 0; k < net->blocks; k++) {
        const bw_params *p = &net->params[k];
        size_t bytes = (size_t)p->total * sizeof(float);
        float *first = malloc(bytes);
        assert_non_null(first);
        memcpy(first, p->values, bytes);
        CHECK_OK(bw__comm_broadcast(ranks, first, bytes, 0));
        assert_memory_equal(first, p->values, bytes);
        free(first);
    }
}

static void train_both_ways(bw_selftest_distance *d, const char *const *settings, int phase)
{
    bw_selftest_side one = { .grid = bw__grid_alone() }, all = { .grid = bw__grid_alone() };
    bw_network *start;
    CHECK_OK(bw__selftest_make(&one, NULL, settings));
    CHECK_OK(bw__selftest_make(&all, ranks, settings));
    CHECK_OK(bw__selftest_network(&start, &one.config));
    bw__trainer_set_steps_done(one.trainer, one.trainer->phases.at[phase].begin);
    bw__trainer_set_steps_done(all.trainer, one.trainer->phases.at[phase].begin);
    CHECK_OK(bw__selftest_train(&one));
    CHECK_OK(bw__selftest_train(&all));
    assert_same_bits_on_all_ranks(all.network);
    bw__selftest_compare(d, start, &one, &all);
    bw_network_free(start);
    bw__selftest_drop(&one);
    bw__selftest_drop(&all);
}

typedef struct ranks_case {
    const char *settings[MAX_SETTINGS];
    double limit;
    int phase; /* of a sequential run */
} ranks_case;

static bool within(const bw_selftest_distance *d, double limit)
{
    return d->by_loss <= limit && d->by_statistics <= limit && d->by_weights <= limit;
}

/* On one of three problems: rounding may move the input of a ReLU across 0 (docs/NUMERICS.md, "Self-test").
 */
static void assert_alike(const ranks_case *c)
{
    enum { TRIES = 3 };
    const char *settings[MAX_SETTINGS + 1];
    bw_selftest_distance d = { .by_loss = 1.0 };
    char seed[16];
    int n = 0;
    for (; c->settings[n]; n++)
        settings[n] = c->settings[n];
    settings[n] = seed;
    settings[n + 1] = NULL;
    for (int i = 0; i < TRIES && !within(&d, c->limit); i++) {
        (void)snprintf(seed, sizeof seed, "seed=%d", i);
        train_both_ways(&d, settings, c->phase);
        CHECK_OK(bw__comm_broadcast(ranks, &d, sizeof d, 0)); /* ranks go on together */
        if (bw_comm_rank(ranks) == 0)
            print_message("%s, %s: %g of losses, %g of statistics, %g of weights, which moved %g\n",
                          c->settings[2], c->settings[3] ? c->settings[3] : "", d.by_loss, d.by_statistics,
                          d.by_weights, d.moved);
    }
    assert_true(within(&d, c->limit));
    assert_true(d.by_weights > 0.0);
}

#define CASE(LIMIT, PHASE, ...)                                                                              \
    {                                                                                                        \
        .settings = { "train.batch=16", "head.dim=64", __VA_ARGS__ }, .limit = (LIMIT), .phase = (PHASE)     \
    }

static void optimisers_move_weights_as_on_one_rank(void **state)
{
    (void)state;
    static const ranks_case cases[] = {
        CASE(3e-4, 0, "optimizer.name=sgd", "optimizer.lr=20"),
        CASE(3e-4, 0, "optimizer.name=lars", "optimizer.lr=50"),
        /* A number whose gradient is near 0 moves by its sign, which rounding decides, unless eps is larger.
         */
        CASE(3e-4, 0, "optimizer.name=adamw", "optimizer.lr=0.2", "optimizer.eps=0.01"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_alike(&cases[i]);
}

static void orders_and_chosen_blocks_are_as_on_one_rank(void **state)
{
    (void)state;
    static const ranks_case cases[] = {
        CASE(3e-4, 0, "train.order=sequential", "optimizer.lr=20"),
        CASE(3e-4, 2, "train.order=sequential", "optimizer.lr=20"), /* two frozen blocks in front */
        CASE(3e-4, 0, "train.blocks=[2,4]", "optimizer.lr=20"),
        CASE(3e-4, 0, "train.recompute=true", "optimizer.lr=20"),
        CASE(3e-4, 0, "train.split=2", "optimizer.lr=20"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_alike(&cases[i]);
}

static void blocks_may_differ_from_each_other(void **state)
{
    (void)state;
    static const ranks_case c =
        CASE(3e-4, 0, "optimizer.lr=20", "blocks[2].loss.name=vicreg", "blocks[3].loss.name=simclr",
             "blocks[2].optimizer.lr=0.05", "blocks[3].optimizer.lr=0.5", "blocks[1].head.pool=gsp",
             "blocks[4].optimizer.name=lars", "blocks[4].optimizer.lr=50");
    assert_alike(&c);
}

/* One step: a number that differs in the last bit of f32 may round to another of bf16's 8, and what comes of
 * that grows quickly. */
static void bf16_is_alike_within_its_rounding(void **state)
{
    (void)state;
    static const char *const settings[] = { "train.batch=16", "head.dim=64", "dtype=bf16", NULL };
    bw_selftest_side one = { .grid = bw__grid_alone() }, all = { .grid = bw__grid_alone() };
    bw_step a, b;
    (void)setenv(BW_BF16_VARIABLE, "emulate", 1);
    CHECK_OK(bw__selftest_make(&one, NULL, settings));
    CHECK_OK(bw__selftest_make(&all, ranks, settings));
    CHECK_OK(bw__selftest_step(&one, &a, 0));
    CHECK_OK(bw__selftest_step(&all, &b, 0));
    assert_same_bits_on_all_ranks(all.network);
    if (bw_comm_rank(ranks) == 0)
        for (int k = 0; k < a.blocks; k++)
            print_message("block %d: %g and %g, %g and %g\n", k + 1, a.loss[k], b.loss[k], a.grad_norm[k],
                          b.grad_norm[k]);
    CHECK_CLOSE(b.loss, a.loss, (size_t)a.blocks, 0.1, 0);
    CHECK_CLOSE(b.grad_norm, a.grad_norm, (size_t)a.blocks, 0.1, 0);
    bw__selftest_drop(&one);
    bw__selftest_drop(&all);
    (void)unsetenv(BW_BF16_VARIABLE);
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    static const char *const settings[] = { "train.batch=16", "head.dim=64", NULL };
    bw_selftest_side s = { .grid = bw__grid_alone() };
    bw_step done;
    CHECK_OK(bw__selftest_make(&s, ranks, settings));
    for (int i = 0; i < 2; i++) {
        int64_t before = bw__alloc_count();
        CHECK_OK(bw__selftest_step(&s, &done, i));
        assert_int_equal(bw__alloc_count() - before, 0);
    }
    bw__selftest_drop(&s);
}

static void plan_of_a_rank_is_what_its_trainer_takes(void **state)
{
    (void)state;
    static const char *const losses[] = { "loss.name=barlow-twins", "loss.name=simclr" };
    char data[32];
    (void)snprintf(data, sizeof data, "parallel.data=%d", bw_comm_size(ranks));
    for (int i = 0; i < 2; i++) {
        const char *const settings[] = { "train.batch=16", losses[i], data, NULL };
        bw_selftest_side s = { .grid = bw__grid_alone() };
        bw_plan plan;
        CHECK_OK(bw__selftest_make(&s, ranks, settings));
        CHECK_OK(bw_plan_make(&plan, &s.config));
        assert_int_equal(plan.arena_bytes, bw_trainer_arena_bytes(s.trainer));
        assert_int_equal(plan.flops, bw_trainer_flops(s.trainer));
        bw__selftest_drop(&s);
    }
}

/* What a sum waits for where it is begun and waited for at once, and behind the next block's forward pass. */
static double seconds_of_waiting(bw_selftest_side *s, bool overlap)
{
    bw_step done;
    s->trainer->no_overlap = !overlap;
    double before = bw__comm_count(BW_COMM_WORK).seconds;
    for (int i = 0; i < 2; i++)
        CHECK_OK(bw__selftest_step(s, &done, i));
    double own = bw__comm_count(BW_COMM_WORK).seconds - before, sum = own;
    CHECK_OK(bw__comm_sum_f64(ranks, &sum, 1));
    return sum;
}

static void gradients_are_summed_while_the_next_block_computes(void **state)
{
    (void)state;
    enum { TRIES = 10 }; /* of a machine that others use too */
    static const char *const settings[] = { "train.batch=16", "projector.widths=[1024,1024,16]", NULL };
    bw_selftest_side s = { .grid = bw__grid_alone() };
    double with = 1.0, without = 0.0;
    CHECK_OK(bw__selftest_make(&s, ranks, settings));
    int64_t bytes = 0, before = bw__comm_count(BW_COMM_WORK).bytes;
    for (int i = 0; i < TRIES && with >= without; i++) {
        without = seconds_of_waiting(&s, false);
        with = seconds_of_waiting(&s, true);
        bytes += 4; /* steps */
    }
    for (int k = 0; k < s.network->blocks; k++)
        before += bytes * s.network->params[k].trained * (int64_t)sizeof(float);
    assert_int_equal(bw__comm_count(BW_COMM_WORK).bytes, before); /* each gradient once */
    if (bw_comm_rank(ranks) == 0)
        print_message("%g s of waiting without overlap, %g s with it\n", without, with);
    assert_true(with < without);
    bw__selftest_drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimisers_move_weights_as_on_one_rank),
        cmocka_unit_test(orders_and_chosen_blocks_are_as_on_one_rank),
        cmocka_unit_test(blocks_may_differ_from_each_other),
        cmocka_unit_test(bf16_is_alike_within_its_rounding),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(plan_of_a_rank_is_what_its_trainer_takes),
        cmocka_unit_test(gradients_are_summed_while_the_next_block_computes),
    };
    return RANKS_MAIN(tests);
}
