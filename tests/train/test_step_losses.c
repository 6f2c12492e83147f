/* Steps with each loss, and with another one in every block. */
#include "train/training.h"
#include "base/memory.h"
#include "train/labels.h"
#include <math.h>
#include <stdio.h>

enum { BATCH = 6, CLASSES = 5 };

static const int labels[BATCH] = { 3, 0, 4, 1, 1, 2 };
static const char *const names[] = { "barlow-twins", "vicreg", "simclr", "cross-entropy" };

static bw_config small_config(const char *const *settings)
{
    static const char *const base[] = { "model.arch=resnet18",
                                        "model.width=8",
                                        "model.stem=cifar",
                                        "data.image_size=16",
                                        "train.batch=6",
                                        "projector.widths=[24,16]",
                                        "model.zero_init_residual=false",
                                        "threads=2",
                                        "optimizer.name=sgd",
                                        "train.epochs=100",
                                        "optimizer.warmup_epochs=0" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    for (; *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    bw__labels_set_classes(&c, CLASSES);
    return c;
}

#define SETTINGS(...) small_config((const char *const[]){ __VA_ARGS__, NULL })

static void vicreg_and_simclr_fall_on_one_repeated_batch(void **state)
{
    (void)state;
    static const char *const loss[] = { "loss.name=vicreg", "loss.name=simclr" };
    static const char *const order[] = { "train.order=simultaneous", "train.order=end-to-end" };
    for (int i = 0; i < 4; i++) {
        bw_config c = SETTINGS(loss[i / 2], order[i % 2], "optimizer.lr=1");
        training s = make_training(&c);
        bw_step first, last;
        CHECK_OK(bw_trainer_step(s.trainer, &first, s.views, NULL));
        for (int step = 0; step < 40; step++)
            CHECK_OK(bw_trainer_step(s.trainer, &last, s.views, NULL));
        for (int k = 0; k < last.blocks; k++)
            if (!(last.loss[k] < 0.7 * first.loss[k]))
                fail_msg("%s, %s, block %d: loss %g -> %g", loss[i / 2], order[i % 2], k + 1, first.loss[k],
                         last.loss[k]);
        drop_training(&s);
    }
}

/* Block k has loss k; its twin is block k of a network where all have that loss. A first step is not touched
 * by what other blocks learn, so that numbers are the same to the last bit. */
static void every_block_may_have_a_loss_of_its_own(void **state)
{
    (void)state;
    bw_config mixed =
        SETTINGS("loss.name=barlow-twins", "blocks[2].loss.name=vicreg", "blocks[3].loss.name=simclr",
                 "blocks[4].loss.name=cross-entropy", "blocks[4].projector.widths=[24,16]", "optimizer.lr=1");
    training m = make_training(&mixed);
    bw_step got, want;
    CHECK_OK(bw_trainer_step(m.trainer, &got, m.views, labels));
    int rows = 0;
    for (int k = 0; k < 4; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "loss.name=%s", names[k]);
        bw_config c = SETTINGS(name, "optimizer.lr=1");
        training t = make_training(&c);
        CHECK_OK(bw_trainer_step(t.trainer, &want, t.views, labels));
        assert_memory_equal(&got.loss[k], &want.loss[k], sizeof got.loss[k]);
        assert_memory_equal(&got.grad_norm[k], &want.grad_norm[k], sizeof got.grad_norm[k]);
        assert_true(same_values(m.net, t.net, k));
        for (int i = 0; i < want.terms; i++, rows++) {
            assert_string_equal(got.term_name[rows], want.term_name[i]);
            for (int j = 0; j < 4; j++)
                assert_true(j == k ? got.term[rows][j] == want.term[i][j] : isnan(got.term[rows][j]) != 0);
        }
        drop_training(&t);
    }
    assert_int_equal(rows, got.terms);
    drop_training(&m);
}

static void no_loss_allocates_in_a_step(void **state)
{
    (void)state;
    for (int l = 0; l < 4; l++) {
        char name[64];
        (void)snprintf(name, sizeof name, "loss.name=%s", names[l]);
        bw_config c = SETTINGS(name, "optimizer.lr=1");
        training t = make_training(&c);
        bw_step step;
        CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
        int64_t before = bw__alloc_count();
        CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
        assert_int_equal(bw__alloc_count() - before, 0);
        drop_training(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vicreg_and_simclr_fall_on_one_repeated_batch),
        cmocka_unit_test(every_block_may_have_a_loss_of_its_own),
        cmocka_unit_test(no_loss_allocates_in_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
