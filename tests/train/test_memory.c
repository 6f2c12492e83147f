/* What a step needs: how the arena grows with the batch, what recomputing saves and that it changes no bit,
 * and that a step allocates nothing. */
#include "train/training.h"
#include "base/memory.h"

static bw_config config_of(const char *const *settings)
{
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "threads=2"));
    for (; *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

/* Bytes by which views and arena grow with one sample, heads included: a bit for each element of the first
 * block's expansion. */
static double bytes_per_sample(const char *order, const char *noise, bool recompute)
{
    int64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        bw_config c =
            config_of((const char *const[]){ "model.arch=resnet50", "projector.widths=[64,64]",
                                             "data.image_size=224", i ? "train.batch=5" : "train.batch=3",
                                             order, noise, recompute ? "train.recompute=true" : NULL, NULL });
        bw_network *net;
        bw_trainer *trainer;
        CHECK_OK(bw__network_build(&net, &c, true)); /* all zero: no step is done */
        CHECK_OK(bw_trainer_create(&trainer, net, 10));
        bytes[i] = bw_trainer_arena_bytes(trainer) + c.train.batch * BW_VIEWS * 224 * 224 * 3 * 4;
        bw_trainer_free(trainer);
        bw_network_free(net);
    }
    return (double)(bytes[1] - bytes[0]) / 2;
}

/* In units of the smallest tensor of the first block, 56 x 56 x 64: 0.75 views, 1 stem, units of 1 + 1, 1 + 1
 * + 4 and 1 + 1 + 4 with outputs of 4, the gradient 4 and 1 of scratch. */
static void resnet50_saves_no_tensor_but_those_of_the_plan(void **state)
{
    (void)state;
    const double tensor = BW_VIEWS * 56 * 56 * 64 * 4;
    double plain = bytes_per_sample("train.order=simultaneous", "noise.kind=none", false);
    double noisy = bytes_per_sample("train.order=simultaneous", "noise.kind=all", false);
    print_message("a sample takes %.2f MB (%.2f tensors), with noise %.2f MB\n", plain / 1e6, plain / tensor,
                  noisy / 1e6);
    assert_true(plain < 33.0 * tensor);
    assert_true(noisy < plain + 4.25 * tensor);
}

static void recompute_needs_at_most_two_thirds(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "train.order=simultaneous", "noise.kind=none" },
                                            { "train.order=simultaneous", "noise.kind=all" },
                                            { "train.order=end-to-end", "noise.kind=none" } };
    for (int i = 0; i < 3; i++) {
        const char *order = cases[i][0], *kind = cases[i][1];
        double with = bytes_per_sample(order, kind, true), without = bytes_per_sample(order, kind, false);
        print_message("%s, %s: %.2f MB of %.2f MB (%.3f)\n", order, kind, with / 1e6, without / 1e6,
                      with / without);
        assert_true(3.0 * with <= 2.0 * without);
    }
}

static void assert_same_bits(const bw_network *a, const bw_network *b)
{
    for (int k = 0; k < a->blocks; k++) {
        const bw_params *p = &a->params[k], *q = &b->params[k];
        assert_int_equal(p->total, q->total);
        assert_memory_equal(p->values, q->values, (size_t)p->total * sizeof(float));
        assert_memory_equal(p->momenta, q->momenta, (size_t)p->trained * sizeof(float));
    }
}

/* Three steps; running statistics are among the values. */
static void recompute_changes_no_bit(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        { "model.arch=resnet18", "model.stem=cifar", "train.order=simultaneous", "noise.kind=none" },
        { "model.arch=resnet18", "model.stem=cifar", "train.order=end-to-end", "noise.kind=all" },
        { "model.arch=resnet18", "model.stem=imagenet", "train.order=simultaneous", "noise.kind=all" },
        { "model.arch=resnet50", "model.stem=imagenet", "train.order=simultaneous", "noise.kind=none" },
        { "model.arch=resnet50", "model.stem=imagenet", "train.order=end-to-end", "noise.kind=none" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *k = cases[i];
        training s[2];
        for (int recompute = 0; recompute < 2; recompute++) {
            bw_config c = config_of((const char *const[]){
                k[0], k[1], k[2], k[3], "model.width=8", "data.image_size=32", "train.batch=4",
                "projector.widths=[24,24,16]", "model.zero_init_residual=false", "optimizer.name=sgd",
                "optimizer.lr=0.5", recompute ? "train.recompute=true" : "train.recompute=false", NULL });
            s[recompute] = make_training(&c);
        }
        for (int step = 0; step < 3; step++) {
            bw_step a, b;
            CHECK_OK(bw_trainer_step(s[0].trainer, &a, s[0].views, NULL));
            CHECK_OK(bw_trainer_step(s[1].trainer, &b, s[1].views, NULL));
            assert_memory_equal(a.loss, b.loss, sizeof a.loss);
            assert_memory_equal(a.grad_norm, b.grad_norm, sizeof a.grad_norm);
        }
        assert_same_bits(s[0].net, s[1].net);
        drop_training(&s[0]);
        drop_training(&s[1]);
    }
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    for (int recompute = 0; recompute < 2; recompute++) {
        bw_config c = config_of((const char *const[]){
            "model.arch=resnet50", "model.width=8", "data.image_size=32", "train.batch=4",
            "projector.widths=[24,24,16]", "noise.kind=all", "health.every=1",
            recompute ? "train.recompute=true" : "train.recompute=false", NULL });
        int64_t before = bw__alloc_count();
        training s = make_training(&c);
        bw_step step;
        assert_true(bw__alloc_count() > before); /* they are counted */
        before = bw__alloc_count();
        CHECK_OK(bw_trainer_step(s.trainer, &step, s.views, NULL));
        CHECK_OK(bw_trainer_step(s.trainer, &step, s.views, NULL));
        assert_int_equal(bw__alloc_count() - before, 0);
        drop_training(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet50_saves_no_tensor_but_those_of_the_plan),
        cmocka_unit_test(recompute_needs_at_most_two_thirds),
        cmocka_unit_test(recompute_changes_no_bit),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
