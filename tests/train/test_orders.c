/* Orders of training: which blocks learn in which steps, and that the others do not change. */
#include "train/training.h"
#include "blockwise/plan.h"
#include <math.h>

static bw_config small_config(const char *const *settings)
{
    static const char *const base[] = { "model.arch=resnet18",
                                        "model.width=8",
                                        "model.stem=cifar",
                                        "data.image_size=16",
                                        "train.batch=6",
                                        "projector.widths=[24,24,16]",
                                        "model.zero_init_residual=false",
                                        "threads=2",
                                        "optimizer.name=sgd",
                                        "optimizer.lr=0.5",
                                        "train.epochs=1",
                                        "optimizer.warmup_epochs=0" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    for (; *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

#define SETTINGS(...) small_config((const char *const[]){ __VA_ARGS__, NULL })

/* Everything of a block that may change. */
typedef struct copied {
    float *values, *momenta;
    int64_t batches;
} copied;

static copied copy_block(const bw_params *p)
{
    copied c = { malloc((size_t)p->total * sizeof(float)), malloc((size_t)p->trained * sizeof(float)),
                 p->batches_tracked };
    assert_true(c.values && c.momenta);
    memcpy(c.values, p->values, (size_t)p->total * sizeof(float));
    if (p->momenta) memcpy(c.momenta, p->momenta, (size_t)p->trained * sizeof(float));
    return c;
}

/* Compares and frees the copy. */
static bool is_unchanged(copied c, const bw_params *p)
{
    bool same = memcmp(c.values, p->values, (size_t)p->total * sizeof(float)) == 0 &&
                (!p->momenta || memcmp(c.momenta, p->momenta, (size_t)p->trained * sizeof(float)) == 0) &&
                c.batches == p->batches_tracked;
    free(c.values);
    free(c.momenta);
    return same;
}

/* Nothing overflows, which the undefined-behaviour sanitizer looks at. */
static void a_run_of_more_steps_than_can_be_counted_ends_with_the_last_that_can(void **state)
{
    (void)state;
    bw_config c = SETTINGS("train.order=sequential", "train.epochs=1000000", "optimizer.warmup_epochs=1000",
                           "optimizer.schedule=step", "optimizer.decay_at=[0.5]");
    bw_network *net = NULL;
    bw_trainer *t = NULL;
    bw_phases p;
    bw__phases(&p, &c, 4, INT64_MAX);
    assert_int_equal(p.n, 4);
    assert_true(p.at[0].begin == 0 && p.at[3].end == INT64_MAX);
    for (int i = 0; i < 4; i++)
        assert_true(p.at[i].end - p.at[i].begin >= INT64_MAX / 4);
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_trainer_create(&t, net, INT64_MAX));
    assert_true(bw_trainer_steps_total(t) == INT64_MAX);
    bw_trainer_free(t);
    bw_network_free(net);
}

/* A cosine would rise again. */
static void steps_beyond_the_last_are_done_with_the_rate_at_the_end(void **state)
{
    (void)state;
    for (int total = 0; total <= 2; total += 2) {
        bw_config c = SETTINGS("optimizer.final_lr=0.001", "probe.every=1");
        bw_step step;
        const int labels[6] = { 0, 1, 0, 1, 1, 0 };
        double before = HUGE_VAL;
        c.train.steps = total;
        c.loss.classes = 2;
        training s = make_training(&c);
        const double end = c.optimizer.lr * (double)c.train.batch / 256.0 * 0.001;
        for (int i = 0; i < 5; i++) {
            CHECK_OK(bw_trainer_step(s.trainer, &step, s.views, labels));
            assert_true(step.lr < before || i > total);
            assert_true(step.lr >= end && isfinite(step.probe_top1_train[0]));
            before = step.lr;
        }
        assert_true(fabs(step.lr - end) < 1e-12);
        /* A rate of 0 / 0 had made all of the classifier NaN. */
        for (int64_t i = 0; i < s.trainer->probe->block[0].count; i++)
            assert_true(isfinite(s.trainer->probe->block[0].values[i]));
        drop_training(&s);
    }
}

static void phases_divide_the_steps_among_the_blocks_that_learn(void **state)
{
    (void)state;
    bw_phases p;
    bw_config c = SETTINGS("train.order=sequential", "train.epochs=3", "train.blocks=[1,2,4]");
    bw__phases(&p, &c, 4, 10);
    assert_int_equal(p.n, 3);
    assert_int_equal(p.steps, 90);
    c.train.steps = 11;
    bw__phases(&p, &c, 4, 10);
    assert_int_equal(p.steps, 11);
    const int64_t begin[] = { 0, 3, 7 }, end[] = { 3, 7, 11 };
    const int block[] = { 0, 1, 3 };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(p.at[i].begin, begin[i]);
        assert_int_equal(p.at[i].end, end[i]);
        assert_int_equal(p.at[i].last, block[i]);
        for (int k = 0; k < 4; k++)
            assert_int_equal(p.at[i].learns[k], k == block[i]);
    }
    assert_ptr_equal(bw__phase_at(&p, 2), &p.at[0]);
    assert_ptr_equal(bw__phase_at(&p, 3), &p.at[1]);
    assert_ptr_equal(bw__phase_at(&p, 99), &p.at[2]);
    c = SETTINGS("train.order=simultaneous", "train.epochs=3", "train.blocks=[1,3]");
    bw__phases(&p, &c, 4, 10);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.steps, 30);
    assert_int_equal(p.at[0].last, 2);
    assert_true(p.at[0].learns[0] && !p.at[0].learns[1] && p.at[0].learns[2] && !p.at[0].learns[3]);
}

/* In every step of a sequential run exactly one block changes; the others have no figures. */
static void sequential_trains_one_block_after_the_other(void **state)
{
    (void)state;
    bw_config c = SETTINGS("train.order=sequential", "train.steps=8", "noise.kind=all", "health.every=1");
    training s = make_training(&c);
    assert_int_equal(bw_trainer_steps_total(s.trainer), 8);
    for (int step = 0; step < 8; step++) {
        copied before[4];
        bw_step x;
        for (int k = 0; k < 4; k++)
            before[k] = copy_block(&s.net->params[k]);
        CHECK_OK(bw_trainer_step(s.trainer, &x, s.views, NULL));
        assert_int_equal(x.blocks, 4);
        for (int k = 0; k < 4; k++) {
            bool learns = k == step / 2;
            assert_int_equal(is_unchanged(before[k], &s.net->params[k]), !learns);
            assert_int_equal(isfinite(x.loss[k]) != 0, learns);
            assert_int_equal(isfinite(x.grad_norm[k]) != 0, learns);
            assert_int_equal(isfinite(x.term[0][k]) != 0, learns);
            assert_int_equal(isfinite(x.effective_rank[k]) != 0, learns);
        }
    }
    drop_training(&s);
}

/* The pooled input of the block in training. */
typedef struct seen {
    bw_trainer *trainer;
    float *pooled; /* [12, 8] */
    int blocks;
} seen;

static void pool_input(void *user, int k)
{
    seen *s = user;
    const bw_trained_block *b = &s->trainer->blocks[k];
    const float *in = b->in;
    int64_t positions = b->block.trunk.in_h * b->block.trunk.in_w, c = b->block.spec->in_c;
    s->blocks++;
    assert_int_equal(k, 1);
    assert_int_equal(c, 8);
    for (int64_t i = 0; i < b->block.n; i++)
        for (int64_t j = 0; j < c; j++) {
            double sum = 0.0;
            for (int64_t p = 0; p < positions; p++)
                sum += (double)in[(i * positions + p) * c + j];
            s->pooled[i * c + j] = (float)(sum / (double)positions);
        }
}

static void frozen_blocks_are_in_evaluation_mode_without_noise(void **state)
{
    (void)state;
    bw_config c = SETTINGS("train.order=sequential", "train.steps=8", "noise.kind=all");
    training s = make_training(&c);
    float got[12 * 8], want[12 * 8], *trunk[4] = { want };
    seen input = { .trainer = s.trainer, .pooled = got };
    bw_extractor *e;
    bw_step x;
    for (int i = 0; i < 2; i++)
        CHECK_OK(bw_trainer_step(s.trainer, &x, s.views, NULL));
    s.trainer->on_forward = pool_input;
    s.trainer->user = &input;
    CHECK_OK(bw_trainer_step(s.trainer, &x, s.views, NULL));
    assert_int_equal(input.blocks, 1);
    CHECK_OK(bw_extractor_create(&e, s.net, 12, 16));
    CHECK_OK(bw_extractor_run(e, NULL, trunk, s.views, 12));
    CHECK_CLOSE_F32(got, want, 12 * 8, 1e-5, 1e-6);
    bw_extractor_free(e);
    drop_training(&s);
}

/* The second phase is a run of its own that trains block 2 alone and begins with the weights the first one
 * left: the same bits. */
static void a_phase_is_a_run_that_trains_its_block_alone(void **state)
{
    (void)state;
    bw_config whole = SETTINGS("train.order=sequential", "train.steps=12", "optimizer.warmup_epochs=1"),
              alone = SETTINGS("train.blocks=[2]", "train.steps=3", "optimizer.warmup_epochs=1");
    training a = make_training(&whole), b = make_training(&alone);
    bw_step x, y;
    for (int i = 0; i < 3; i++)
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
    for (int k = 0; k < 4; k++)
        memcpy(b.net->params[k].values, a.net->params[k].values,
               (size_t)a.net->params[k].total * sizeof(float));
    assert_int_equal(bw_trainer_steps_total(b.trainer), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
        CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
        assert_memory_equal(&x.loss[1], &y.loss[1], sizeof(double));
        assert_memory_equal(&x.grad_norm[1], &y.grad_norm[1], sizeof(double));
        assert_true(x.lr == y.lr);
    }
    assert_true(same_values(a.net, b.net, 1));
    assert_null(b.net->params[0].momenta); /* what never learns has none */
    assert_memory_equal(a.net->params[0].values, b.net->params[0].values,
                        (size_t)a.net->params[0].total * sizeof(float));
    drop_training(&a);
    drop_training(&b);
}

static void the_schedule_begins_anew_with_every_block(void **state)
{
    (void)state;
    bw_config c = SETTINGS("train.order=sequential", "train.epochs=2", "optimizer.warmup_epochs=1"),
              one = SETTINGS("train.epochs=2", "optimizer.warmup_epochs=1");
    training s = make_training(&c), t = make_training(&one);
    bw_step x, y;
    assert_int_equal(bw_trainer_steps_total(s.trainer), 80);
    for (int step = 0; step < 80; step += 7) {
        bw__trainer_set_steps_done(s.trainer, step);
        bw__trainer_set_steps_done(t.trainer, step % 20);
        s.trainer->no_update = t.trainer->no_update = true;
        CHECK_OK(bw_trainer_step(s.trainer, &x, s.views, NULL));
        CHECK_OK(bw_trainer_step(t.trainer, &y, t.views, NULL));
        assert_true(x.lr == y.lr);
        assert_int_equal(x.epoch, step / 10);
    }
    drop_training(&s);
    drop_training(&t);
}

static void blocks_that_are_not_listed_stay_as_they_began(void **state)
{
    (void)state;
    bw_config c = SETTINGS("train.blocks=[1,3]", "noise.kind=hw");
    training s = make_training(&c);
    copied before[4];
    bw_step x;
    for (int k = 0; k < 4; k++)
        before[k] = copy_block(&s.net->params[k]);
    CHECK_OK(bw_trainer_step(s.trainer, &x, s.views, NULL));
    for (int k = 0; k < 4; k++) {
        bool learns = k == 0 || k == 2;
        assert_int_equal(is_unchanged(before[k], &s.net->params[k]), !learns);
        assert_int_equal(isnan(x.loss[k]) != 0, !learns);
    }
    assert_int_equal(s.trainer->created, 3); /* block 4 is not run */
    drop_training(&s);
}

/* The plan of a sequential run: the memory of its largest phase, and operations that add up to the run's. */
static void plan_of_a_sequential_run_is_that_of_its_phases(void **state)
{
    (void)state;
    const char *const blocks[] = { "train.blocks=[1]", "train.blocks=[2]", "train.blocks=[3]",
                                   "train.blocks=[4]" };
    bw_config c = SETTINGS("train.order=sequential", "train.recompute=true");
    bw_plan plan, phase;
    int64_t flops = 0, repeated = 0, arena = 0;
    bw_network *net;
    bw_trainer *trainer;
    CHECK_OK(bw_plan_make(&plan, &c));
    for (int i = 0; i < 4; i++) {
        bw_config one = SETTINGS(blocks[i], "train.recompute=true");
        CHECK_OK(bw_plan_make(&phase, &one));
        flops += phase.flops;
        repeated += phase.repeated_flops;
        if (phase.arena_bytes > arena) arena = phase.arena_bytes;
        assert_true(phase.weight_bytes < plan.weight_bytes);
        assert_int_equal(phase.block[i].flops, plan.block[i].flops);
    }
    assert_int_equal(plan.flops, flops / 4);
    assert_int_equal(plan.repeated_flops, repeated / 4);
    assert_int_equal(plan.arena_bytes, arena);
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_trainer_create(&trainer, net, 10));
    assert_int_equal(bw_trainer_arena_bytes(trainer), arena);
    assert_int_equal(bw_trainer_flops(trainer), plan.flops);
    bw_trainer_free(trainer);
    bw_network_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_beyond_the_last_are_done_with_the_rate_at_the_end),
        cmocka_unit_test(a_run_of_more_steps_than_can_be_counted_ends_with_the_last_that_can),
        cmocka_unit_test(phases_divide_the_steps_among_the_blocks_that_learn),
        cmocka_unit_test(sequential_trains_one_block_after_the_other),
        cmocka_unit_test(frozen_blocks_are_in_evaluation_mode_without_noise),
        cmocka_unit_test(a_phase_is_a_run_that_trains_its_block_alone),
        cmocka_unit_test(the_schedule_begins_anew_with_every_block),
        cmocka_unit_test(blocks_that_are_not_listed_stay_as_they_began),
        cmocka_unit_test(plan_of_a_sequential_run_is_that_of_its_phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
