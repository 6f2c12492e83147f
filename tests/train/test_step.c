/* The step: blocks do not touch each other, the order of work does not change numbers, memory is freed. */
#include "train/training.h"
#include <math.h>

static bw_config tiny_config(const char *extra)
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
                                        "train.epochs=100",
                                        "optimizer.warmup_epochs=0" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    if (extra) CHECK_OK(bw_config_set(&c, extra));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

static void loss_falls_on_one_repeated_batch(void **state)
{
    (void)state;
    const char *const order[] = { "train.order=simultaneous", "train.order=end-to-end" };
    for (int o = 0; o < 2; o++) {
        bw_config c = tiny_config(order[o]);
        training s = make_training(&c);
        bw_step first, last;
        CHECK_OK(bw_trainer_step(s.trainer, &first, s.views, NULL));
        for (int i = 0; i < 40; i++)
            CHECK_OK(bw_trainer_step(s.trainer, &last, s.views, NULL));
        assert_int_equal(last.step, 41);
        assert_int_equal(last.blocks, o ? 1 : 4);
        for (int k = 0; k < last.blocks; k++)
            if (!(last.loss[k] < 0.7 * first.loss[k]))
                fail_msg("%s, block %d: loss %g -> %g", order[o], k + 1, first.loss[k], last.loss[k]);
        drop_training(&s);
    }
}

/* Three steps by the interleaved order and by the authors' order, with noise: the same bits. */
static void interleaved_order_equals_all_forwards_first(void **state)
{
    (void)state;
    bw_config c = tiny_config("noise.kind=all");
    CHECK_OK(bw_config_set(&c, "train.batch=24")); /* activations outweigh the tiles of the kernels */
    CHECK_OK(bw_config_resolve(&c));
    training a = make_training(&c), b = make_training(&c);
    /* The authors' order frees nothing before the end, so it needs a larger arena. */
    size_t interleaved = a.trainer->exec.arena.size;
    b.trainer->all_forwards_first = true;
    bw__arena_destroy(&b.trainer->exec.arena);
    CHECK_OK(bw__arena_create(&b.trainer->exec.arena, 8 * interleaved));
    for (int i = 0; i < 3; i++) {
        bw_step x, y;
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
        CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
        for (int k = 0; k < 4; k++)
            assert_memory_equal(&x.loss[k], &y.loss[k], sizeof(double));
    }
    for (int k = 0; k < 4; k++)
        assert_true(same_values(a.net, b.net, k));
    /* Measured, not assumed: what the interleaved order saves. */
    print_message("arena at its peak: interleaved %zu bytes, all forwards first %zu\n",
                  a.trainer->exec.arena.peak, b.trainer->exec.arena.peak);
    assert_true(10 * a.trainer->exec.arena.peak < 7 * b.trainer->exec.arena.peak);
    drop_training(&a);
    drop_training(&b);
}

/* Changing one block's loss changes that block's parameters and no other's. */
static void loss_of_a_block_leaves_every_other_block_untouched(void **state)
{
    (void)state;
    bw_config c = tiny_config(NULL);
    for (int changed = 0; changed < 4; changed++) {
        training a = make_training(&c), b = make_training(&c);
        bw_step x, y;
        bw_loss_config other = c.loss;
        other.lambda *= 3;
        const bw_block_spec *spec = b.trainer->blocks[changed].block.spec;
        bw__loss_free(b.trainer->blocks[changed].loss);
        CHECK_OK(bw__loss_create(&b.trainer->blocks[changed].loss, &b.trainer->exec, &other, c.train.batch,
                                 spec->linear[spec->n_linear - 1].oc));
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
        CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
        for (int k = 0; k < 4; k++)
            assert_int_equal(same_values(a.net, b.net, k), k != changed);
        drop_training(&a);
        drop_training(&b);
    }
}

static void number_of_threads_does_not_change_a_step(void **state)
{
    (void)state;
    bw_config one = tiny_config("threads=1"), two = tiny_config("threads=2");
    training a = make_training(&one), b = make_training(&two);
    bw_step x, y;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
        CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
    }
    /* oneDNN splits its sums by thread, so equality is up to rounding. */
    for (int k = 0; k < 4; k++)
        assert_true(fabs(x.loss[k] - y.loss[k]) <= 1e-4 * fabs(x.loss[k]));
    drop_training(&a);
    drop_training(&b);
}

static void a_value_that_is_not_finite_names_block_and_step(void **state)
{
    (void)state;
    bw_config c = tiny_config(NULL);
    training s = make_training(&c);
    bw_step x;
    s.net->params[2].values[0] = NAN;
    assert_int_equal(bw_trainer_step(s.trainer, &x, s.views, NULL), BW_ENONFINITE);
    assert_non_null(strstr(bw_last_error(), "step 1, block 3"));
    drop_training(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_falls_on_one_repeated_batch),
        cmocka_unit_test(interleaved_order_equals_all_forwards_first),
        cmocka_unit_test(loss_of_a_block_leaves_every_other_block_untouched),
        cmocka_unit_test(number_of_threads_does_not_change_a_step),
        cmocka_unit_test(a_value_that_is_not_finite_names_block_and_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
