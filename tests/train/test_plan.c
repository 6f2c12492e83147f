/* The plan: the same figures as the trainer's own, without its memory. */
#include "check.h"
#include "base/available.h"
#include "blockwise/plan.h"
#include "train/trainer_internal.h"
#include <string.h>

static bw_config config_of(const char *const *settings)
{
    static const char *const base[] = { "model.arch=resnet18",
                                        "model.width=8",
                                        "model.stem=cifar",
                                        "data.image_size=16",
                                        "train.batch=6",
                                        "projector.widths=[24,40,16]",
                                        "threads=2" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    for (; *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

static void plan_says_what_the_trainer_takes(void **state)
{
    (void)state;
    static const char *const settings[][2] = {
        { "train.order=simultaneous", NULL }, { "train.order=end-to-end", NULL },
        { "noise.kind=all", NULL },           { "train.split=3", NULL },
        { "optimizer.name=adamw", NULL },     { "model.arch=resnet50", NULL }
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        bw_config c = config_of(settings[i]);
        bw_plan plan;
        bw_network *network;
        bw_trainer *trainer;
        CHECK_OK(bw_plan_make(&plan, &c));
        CHECK_OK(bw_network_create(&network, &c));
        CHECK_OK(bw_trainer_create(&trainer, network, 1));
        int64_t parameters = 0, flops = 0, most = 0;
        assert_int_equal(plan.blocks, bw_network_blocks(network));
        for (int k = 0; k < plan.blocks; k++) {
            const bw_plan_block *b = &plan.block[k];
            assert_int_equal(b->trunk_parameters, bw_network_parameters(network, k, false));
            parameters += bw_network_parameters(network, k, true);
            assert_int_equal(b->trunk_parameters + b->head_parameters + b->projector_parameters,
                             bw_network_parameters(network, k, true));
            flops += b->flops;
            assert_true(b->saved_bytes > 0 && b->saved_bytes < b->arena_bytes);
            if (b->arena_bytes > most) most = b->arena_bytes;
        }
        assert_int_equal(plan.parameters, parameters);
        assert_int_equal(plan.flops, flops);
        assert_int_equal(plan.flops, bw_trainer_flops(trainer));
        assert_int_equal(plan.arena_bytes, most);
        if (plan.blocks == 4) assert_true(plan.block[3].arena_bytes < plan.block[0].arena_bytes);
        assert_int_equal(plan.arena_bytes, bw_trainer_arena_bytes(trainer));
        bw_trainer_free(trainer);
        bw_network_free(network);
    }
}

/* AdamW keeps a square beside every momentum; parts of a batch a sum beside every gradient; a block that
 * never learns nothing. */
static void weights_are_planned_with_what_the_optimiser_and_parts_keep(void **state)
{
    (void)state;
    bw_plan plain, adamw, split, frozen;
    bw_config c = config_of((const char *const[]){ "optimizer.name=lars", NULL });
    CHECK_OK(bw_plan_make(&plain, &c));
    c = config_of((const char *const[]){ "optimizer.name=adamw", NULL });
    CHECK_OK(bw_plan_make(&adamw, &c));
    c = config_of((const char *const[]){ "train.split=2", NULL });
    CHECK_OK(bw_plan_make(&split, &c));
    c = config_of((const char *const[]){ "train.blocks=[1,2,4]", NULL });
    CHECK_OK(bw_plan_make(&frozen, &c));
    int64_t third = plain.block[2].trunk_parameters + plain.block[2].head_parameters +
                    plain.block[2].projector_parameters;
    assert_int_equal(adamw.weight_bytes - plain.weight_bytes, 4 * plain.parameters);
    assert_int_equal(split.weight_bytes - plain.weight_bytes, 4 * plain.parameters);
    assert_int_equal(plain.weight_bytes - frozen.weight_bytes, 4 * third);
    assert_true(split.repeated_flops > split.flops / 4 && split.repeated_flops < split.flops / 2);
    assert_int_equal(split.flops, plain.flops);
}

static void plan_of_a_huge_run_takes_no_memory(void **state)
{
    (void)state;
    static const char *const settings[] = { "model.arch=resnet50",
                                            "model.width=64",
                                            "model.stem=imagenet",
                                            "data.image_size=224",
                                            "train.batch=2048",
                                            "projector.widths=[8192,8192,8192]",
                                            NULL };
    bw_config c = config_of(settings);
    bw_plan plan;
    int64_t before = bw__rss_bytes();
    CHECK_OK(bw_plan_make(&plan, &c));
    assert_true(bw__rss_bytes() - before < 200000000);
    /* Four blocks with two square layers of 8192 and one from 2048, value and momentum each. */
    assert_true(plan.weight_bytes > INT64_C(4) * (2 * 8192 + 2048) * 8192 * 8);
    assert_true(plan.peak_bytes > plan.weight_bytes + plan.arena_bytes);
}

/* The compute library cannot count the tensors of such a run: it would divide by zero. */
static void a_run_that_no_memory_is_enough_for_is_refused_with_the_batch_that_fits(void **state)
{
    (void)state;
    static const char *const settings[] = { "model.stem=cifar", "model.width=64", "data.image_size=1024",
                                            "train.batch=65536", NULL };
    bw_config c = config_of(settings);
    bw_plan plan;
    int64_t batch = -1;
    assert_int_equal(bw_plan_make(&plan, &c), BW_ENOMEM);
    assert_non_null(strstr(bw_last_error(), "convolution 3x3/1 of f32 [131072, 1024, 1024, 3]"));
    assert_int_equal(bw_plan_check(&c), BW_ENOMEM);
    assert_non_null(strstr(bw_last_error(), "train.batch 65536: convolution"));
    assert_non_null(strstr(bw_last_error(), "fits"));
    /* As much memory as one could wish for: what layers can count is the limit then, 2^34 elements in the
     * 64 channels of both views. */
    CHECK_OK(bw_plan_largest_batch(&batch, &c, INT64_MAX / 2));
    assert_int_equal(batch, (1 << 7));
}

static void a_product_that_the_library_cannot_count_is_not_timed(void **state)
{
    (void)state;
    double gflops = -1.0;
    const int64_t large = (int64_t)1 << 32;
    assert_int_equal(bw_bench_matmul(&gflops, BW_DTYPE_F32, large, 1, large, 1, 1), BW_ENOMEM);
    assert_non_null(strstr(bw_last_error(), "matrix product of f32 [4294967296, 4294967296]"));
    assert_int_equal(bw_bench_matmul(&gflops, BW_DTYPE_F32, INT64_MAX, INT64_MAX, INT64_MAX, 1, 1),
                     BW_ENOMEM);
    assert_int_equal(bw_bench_matmul(&gflops, BW_DTYPE_F32, 1 << 18, 1, 1 << 17, 1, 1), BW_ENOMEM);
}

static void largest_batch_is_the_last_that_fits(void **state)
{
    (void)state;
    static const char *const fits[] = { "data.image_size=64", "train.batch=37", NULL }, *const more[] = {
        "data.image_size=64", "train.batch=38", NULL
    };
    bw_config c = config_of(fits), next = config_of(more);
    bw_plan plan, larger, again;
    int64_t batch;
    CHECK_OK(bw_plan_make(&plan, &c));
    CHECK_OK(bw_plan_make(&larger, &next));
    int64_t one = larger.arena_bytes + larger.input_bytes - plan.arena_bytes - plan.input_bytes;
    assert_true(one > 2000000);
    /* Half way, because what the process itself takes moves by a few pages; by more under a sanitizer. */
    CHECK_OK(bw_plan_largest_batch(&batch, &next, plan.peak_bytes + one / 2));
    CHECK_OK(bw_plan_make(&again, &c));
    int64_t grown = again.process_bytes - plan.process_bytes;
    int64_t fewer = grown > one / 2 ? (grown - one / 2) / one + 1 : 0;
    if (batch > 37 || batch < 37 - fewer)
        fail_msg("%lld images fit, not 37 (the process grew by %lld bytes)", (long long)batch,
                 (long long)grown);
    CHECK_OK(bw_plan_largest_batch(&batch, &c, 1000));
    assert_int_equal(batch, 0);
}

static void time_is_that_of_the_operations_at_the_stated_share(void **state)
{
    (void)state;
    bw_plan plan = { .flops = 2000000000, .repeated_flops = 1000000000 };
    double want = 3.0 / (BW_PLAN_SHARE * 50.0), got = bw_plan_step_s(&plan, 50.0);
    CHECK_CLOSE(&got, &want, 1, 1e-12, 0);
}

/* ResNet-18 has two units in a block, whose outputs are both kept: every unit is repeated once, the stem once
 * for the first unit and once for itself. */
static void recompute_repeats_the_trunk_and_not_the_head(void **state)
{
    (void)state;
    bw_config plain = config_of((const char *const[]){ "train.recompute=false", NULL }),
              c = config_of((const char *const[]){ "train.recompute=true", NULL });
    bw_plan without, with;
    bw_network *network;
    bw_trainer *trainer;
    CHECK_OK(bw_plan_make(&without, &plain));
    CHECK_OK(bw_plan_make(&with, &c));
    CHECK_OK(bw_network_create(&network, &c));
    CHECK_OK(bw_trainer_create(&trainer, network, 1));
    int64_t want = bw__conv_flops(trainer->blocks[0].block.trunk.stem);
    for (int k = 0; k < with.blocks; k++)
        want += bw__trunk_flops(&trainer->blocks[k].block.trunk, false);
    assert_int_equal(with.repeated_flops, want);
    assert_int_equal(without.repeated_flops, 0);
    assert_int_equal(with.flops, without.flops);
    bw_trainer_free(trainer);
    bw_network_free(network);
}

static void a_config_that_is_not_resolved_is_refused(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    bw_plan plan;
    assert_int_equal(bw_plan_make(&plan, &c), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "resolve"));
    for (int i = 0; i < 3; i++) {
        bw_network *network = NULL;
        bw_config zero = config_of((const char *const[]){ NULL });
        if (i == 0) zero.train.split = 0;
        if (i == 1) zero.train.batch = 0;
        if (i == 2) zero.parallel.block = 0;
        assert_int_equal(bw_plan_make(&plan, &zero), BW_EINVAL);
        assert_non_null(strstr(bw_last_error(), "resolve"));
        assert_int_equal(bw_plan_check(&zero), BW_EINVAL);
        assert_int_equal(bw_network_create(&network, &zero), BW_EINVAL);
    }
}

static void rows_that_do_not_share_the_blocks_are_refused(void **state)
{
    (void)state;
    static const int wrong[][3] = { { 100, 101, 102 }, { -5, 2, 4 }, { 0, 2, 5 }, { 0, 2, 3 },
                                    { 0, 0, 4 },       { 0, 4, 4 },  { 1, 2, 4 }, { 0, 3, 2 } };
    bw_config c = config_of((const char *const[]){ "parallel.block=2", NULL });
    bw_plan plan;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(bw_plan_make_row(&plan, &c, wrong[i], 0), BW_EINVAL);
        assert_non_null(strstr(bw_last_error(), "from 0 to 4"));
    }
    assert_int_equal(bw_plan_make_row(&plan, &c, (const int[]){ 0, 1, 4 }, 2), BW_EINVAL);
    CHECK_OK(bw_plan_make_row(&plan, &c, (const int[]){ 0, 1, 4 }, 1));
}

/* What several ranks exchange may need a little more, never as much as the other ranks' images. */
static void plan_of_a_batch_over_ranks_is_that_of_one_rank(void **state)
{
    (void)state;
    static const char *const orders[] = { "train.order=simultaneous", "train.order=end-to-end" };
    for (int i = 0; i < 2; i++) {
        bw_config whole = config_of((const char *const[]){ "train.batch=24", orders[i], NULL }),
                  part = config_of((const char *const[]){ "train.batch=6", orders[i], NULL }),
                  ranks = config_of(
                      (const char *const[]){ "train.batch=24", "parallel.data=4", orders[i], NULL });
        bw_plan all, quarter, one;
        CHECK_OK(bw_plan_make(&all, &whole));
        CHECK_OK(bw_plan_make(&quarter, &part));
        CHECK_OK(bw_plan_make(&one, &ranks));
        assert_int_equal(one.weight_bytes, quarter.weight_bytes);
        assert_int_equal(one.input_bytes, quarter.input_bytes);
        assert_true(one.arena_bytes >= quarter.arena_bytes);
        assert_true(one.arena_bytes - quarter.arena_bytes < (all.arena_bytes - quarter.arena_bytes) / 10);
        int64_t batch;
        CHECK_OK(bw_plan_largest_batch(&batch, &ranks, 2 * one.peak_bytes));
        assert_true(batch % 4 == 0 && batch > 24);
    }
    bw_config uneven = config_of((const char *const[]){ "train.batch=6", "parallel.data=4", NULL });
    bw_plan plan;
    assert_int_equal(bw_plan_make(&plan, &uneven), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "take a multiple of 4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_do_not_share_the_blocks_are_refused),
        cmocka_unit_test(plan_says_what_the_trainer_takes),
        cmocka_unit_test(weights_are_planned_with_what_the_optimiser_and_parts_keep),
        cmocka_unit_test(plan_of_a_huge_run_takes_no_memory),
        cmocka_unit_test(a_run_that_no_memory_is_enough_for_is_refused_with_the_batch_that_fits),
        cmocka_unit_test(a_product_that_the_library_cannot_count_is_not_timed),
        cmocka_unit_test(largest_batch_is_the_last_that_fits),
        cmocka_unit_test(time_is_that_of_the_operations_at_the_stated_share),
        cmocka_unit_test(recompute_repeats_the_trunk_and_not_the_head),
        cmocka_unit_test(plan_of_a_batch_over_ranks_is_that_of_one_rank),
        cmocka_unit_test(a_config_that_is_not_resolved_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
