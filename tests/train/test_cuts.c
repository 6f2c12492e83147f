/* Training with any cut and any head: one block is end to end, odd cuts keep blocks apart, everything steps
 * and is planned. */
#include "train/training.h"
#include "blockwise/plan.h"
#include <math.h>
#include <stdio.h>

static bw_config config_with(const char *assignments)
{
    char text[512], *rest = NULL;
    bw_config c = bw_config_default();
    (void)snprintf(text, sizeof text,
                   "model.arch=resnet18 model.width=8 model.stem=cifar data.image_size=16 train.batch=6 "
                   "projector.widths=[24,16] model.zero_init_residual=false threads=2 optimizer.name=sgd "
                   "optimizer.lr=0.5 train.epochs=100 optimizer.warmup_epochs=0 %s",
                   assignments);
    for (char *p = strtok_r(text, " ", &rest); p; p = strtok_r(NULL, " ", &rest))
        CHECK_OK(bw_config_set(&c, p));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

/* A network without cuts is one network, whatever the order is called. */
static void no_cuts_and_end_to_end_are_the_same_bits(void **state)
{
    (void)state;
    const char *const heads[] = { "head.pool=gsp", "head.pool=cbe head.stride=2",
                                  "noise.kind=c head.pool=lsp" };
    for (int i = 0; i < 3; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "model.cuts=[] %s", heads[i]);
        bw_config a_config = config_with(text);
        (void)snprintf(text, sizeof text, "model.cuts=[] train.order=end-to-end %s", heads[i]);
        bw_config b_config = config_with(text);
        training a = make_training(&a_config), b = make_training(&b_config);
        bw_step x, y;
        for (int step = 0; step < 3; step++) {
            CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
            CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
            assert_int_equal(x.blocks, 1);
            assert_memory_equal(&x.loss[0], &y.loss[0], sizeof(double));
        }
        assert_true(same_values(a.net, b.net, 0));
        drop_training(&a);
        drop_training(&b);
    }
}

/* Cuts end to end say where to evaluate and change nothing in training but names: with the heads' names the
 * same, the same bits. */
static void cuts_do_not_change_what_end_to_end_learns_in_the_trunk(void **state)
{
    (void)state;
    bw_config a_config = config_with("train.order=end-to-end model.cuts=[2,5]"),
              b_config = config_with("train.order=end-to-end model.cuts=[3,4]");
    training a = make_training(&a_config), b = make_training(&b_config);
    bw_step x, y;
    for (int step = 0; step < 2; step++) {
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
        CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
    }
    assert_string_equal(a.net->params[0].items[a.net->params[0].n - 1].name, "blocks.3.projector.3.weight");
    assert_true(same_values(a.net, b.net, 0));
    drop_training(&a);
    drop_training(&b);
}

static int64_t trunk_values(const bw_network *net)
{
    int64_t sum = 0;
    for (int k = 0; k < net->blocks; k++)
        for (int i = 0; i < net->params[k].n; i++)
            if (net->params[k].items[i].part == BW_PART_TRUNK) sum += net->params[k].items[i].count;
    return sum;
}

/* Changing one block's loss changes that block's parameters and no other's, wherever the cuts are. */
static void loss_of_a_block_touches_no_other_whatever_the_cuts(void **state)
{
    (void)state;
    const char *const cuts[] = { "model.cuts=[1,4]", "model.cuts=units",
                                 "model.cuts=[7] train.recompute=true" };
    bw_config stages = config_with("");
    training whole = make_training(&stages);
    for (int i = 0; i < 3; i++) {
        bw_config c = config_with(cuts[i]), other = c;
        for (int changed = 0; changed < bw__config_blocks(&c); changed += 2) {
            char key[64];
            (void)snprintf(key, sizeof key, "blocks[%d].loss.lambda=0.02", changed + 1);
            other = c;
            CHECK_OK(bw_config_set(&other, key));
            CHECK_OK(bw_config_resolve(&other));
            training a = make_training(&c), b = make_training(&other);
            bw_step x, y;
            assert_int_equal(trunk_values(a.net), trunk_values(whole.net));
            CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
            CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
            for (int k = 0; k < a.net->blocks; k++)
                assert_int_equal(same_values(a.net, b.net, k), k != changed);
            drop_training(&a);
            drop_training(&b);
        }
    }
    drop_training(&whole);
}

static void every_cut_and_head_learns_and_is_planned_to_the_byte(void **state)
{
    (void)state;
    const char *const settings[] = { "model.cuts=units",
                                     "model.cuts=[1,2,6] head.filter=3",
                                     "model.cuts=[3] head.stride=2 head.dim=256",
                                     "head.filter=3 head.stride=3",
                                     "head.pool=lsp",
                                     "head.pool=lsp model.cuts=units train.recompute=true",
                                     "head.pool=gsp",
                                     "head.stride=8",
                                     "train.order=end-to-end model.cuts=units",
                                     "train.order=end-to-end head.pool=cbe head.filter=3",
                                     "blocks[1].head.stride=4 blocks[1].head.dim=128 blocks[2].head.pool=lsp",
                                     "blocks[3].head.pool=gsp noise.kind=all" };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        bw_config c = config_with(settings[i]);
        training t = make_training(&c);
        bw_plan plan;
        bw_step first, last;
        CHECK_OK(bw_plan_make(&plan, &c));
        assert_int_equal(plan.blocks, t.net->blocks);
        assert_int_equal(plan.arena_bytes, bw_trainer_arena_bytes(t.trainer));
        CHECK_OK(bw_trainer_step(t.trainer, &first, t.views, NULL));
        for (int step = 0; step < 25; step++)
            CHECK_OK(bw_trainer_step(t.trainer, &last, t.views, NULL));
        for (int k = 0; k < last.blocks; k++)
            if (!(last.loss[k] < 0.8 * first.loss[k]))
                fail_msg("%s, block %d: loss %g -> %g", settings[i], k + 1, first.loss[k], last.loss[k]);
        drop_training(&t);
    }
}

static void a_network_for_evaluation_is_not_trained(void **state)
{
    (void)state;
    bw_config c = config_with("train.order=end-to-end");
    bw_network *net, *view;
    bw_trainer *trainer;
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw__network_view(&view, net));
    assert_int_equal(bw_trainer_create(&trainer, view, STEPS_PER_EPOCH), BW_EINVAL);
    assert_null(trainer);
    assert_non_null(strstr(bw_last_error(), "cut into 4 blocks"));
    bw_network_free(view);
    bw_network_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cuts_and_end_to_end_are_the_same_bits),
        cmocka_unit_test(cuts_do_not_change_what_end_to_end_learns_in_the_trunk),
        cmocka_unit_test(loss_of_a_block_touches_no_other_whatever_the_cuts),
        cmocka_unit_test(a_network_for_evaluation_is_not_trained),
        cmocka_unit_test(every_cut_and_head_learns_and_is_planned_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
