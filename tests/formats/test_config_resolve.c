#include "check.h"
#include "config_texts.h"
#include "base/machine.h"
#include "formats/atomic_file.h"
#include <math.h>

static void open_values_are_filled_in(void **state)
{
    (void)state;
    bw_config c = RESOLVED("seed=0");
    assert_int_equal(c.threads, bw__usable_cores());
    assert_int_equal(c.data.threads, c.threads);
    assert_int_equal(c.data.image_size, 224);
    assert_int_equal(c.head.dim, 2048);
    assert_true(c.optimizer.lr == 0.4);
    c = RESOLVED("model.stem=cifar", "threads=3");
    assert_int_equal(c.data.image_size, 32);
    assert_int_equal(c.data.threads, 3);
    c = RESOLVED("model.stem=cifar", "data.image_size=48", "data.threads=5", "head.dim=72");
    assert_int_equal(c.data.image_size, 48);
    assert_int_equal(c.data.threads, 5);
    assert_int_equal(c.head.dim, 72);
}

static void head_is_as_wide_as_the_last_block(void **state)
{
    (void)state;
    const char *archs[] = { "model.arch=resnet18", "model.arch=resnet34", "model.arch=resnet50",
                            "model.arch=resnet101" };
    const int64_t want[] = { 512, 512, 2048, 2048 };
    for (int i = 0; i < 4; i++) {
        assert_int_equal(RESOLVED(archs[i]).head.dim, want[i]);
        assert_int_equal(RESOLVED(archs[i], "model.width=24").head.dim, want[i] * 24 / 64);
    }
}

static void learning_rate_follows_the_batch_for_lars(void **state)
{
    (void)state;
    const struct {
        const char *batch;
        double lr;
    } want[] = { { "train.batch=2", 0.7 },     { "train.batch=128", 0.7 },   { "train.batch=256", 0.4 },
                 { "train.batch=512", 0.3 },   { "train.batch=1024", 0.25 }, { "train.batch=2048", 0.2 },
                 { "train.batch=65536", 0.2 }, { "train.batch=181", 0.55 } };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        double lr = RESOLVED(want[i].batch).optimizer.lr;
        /* 181 is 128 * sqrt(2) rounded: half way in the logarithm, to three digits. */
        CHECK_CLOSE(&lr, &want[i].lr, 1, 1e-3, 0);
    }
    assert_true(RESOLVED("train.batch=181").optimizer.lr != 0.55);
    assert_true(RESOLVED("optimizer.name=sgd").optimizer.lr == 0.05);
    assert_true(RESOLVED("optimizer.name=sgd", "optimizer.lr=0").optimizer.lr == 0);
    assert_true(RESOLVED("optimizer.lr=0.3").optimizer.lr == 0.3);
}

static void end_to_end_takes_gsp_and_no_noise_unless_told(void **state)
{
    (void)state;
    bw_config c = RESOLVED("train.order=end-to-end");
    assert_int_equal(c.head.pool, BW_POOL_GSP);
    assert_int_equal(c.noise.kind, BW_NOISE_NONE);
    assert_int_equal(c.head.dim, 2048);
    c = RESOLVED("train.order=end-to-end", "head.pool=cbe", "noise.kind=c", "model.arch=resnet18");
    assert_int_equal(c.head.pool, BW_POOL_CBE);
    assert_int_equal(c.noise.kind, BW_NOISE_C);
    assert_int_equal(c.head.dim, 512);
    bw_config by_hand = bw_config_default();
    by_hand.train.order = BW_ORDER_END_TO_END;
    by_hand.noise.kind = BW_NOISE_ALL; /* not "given": only loads and bw_config_set() count */
    CHECK_OK(bw_config_resolve(&by_hand));
    assert_int_equal(by_hand.noise.kind, BW_NOISE_NONE);
}

static void resolving_twice_changes_nothing_and_survives_printing(void **state)
{
    (void)state;
    const char *orders[] = { "train.order=simultaneous", "train.order=end-to-end" };
    for (int i = 0; i < 2; i++) {
        bw_config once = RESOLVED(orders[i], "train.batch=300"), twice, back = bw_config_default();
        char *text;
        memcpy(&twice, &once, sizeof twice);
        CHECK_OK(bw_config_resolve(&twice));
        assert_memory_equal(&once, &twice, sizeof once);
        CHECK_OK(bw_config_to_yaml(&text, &once));
        CHECK_OK(bw_config_load(&back, text, strlen(text), "config.yaml"));
        CHECK_OK(bw_config_resolve(&back));
        memcpy(back.is_set, once.is_set, sizeof back.is_set);
        memcpy(back.is_told, once.is_told, sizeof back.is_told);
        assert_memory_equal(&once, &back, sizeof once);
        bw_free(text);
    }
}

static void impossible_combinations_are_refused_with_the_reason(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "head.pool=gsp"));
    CHECK_OK(bw_config_set(&c, "head.dim=64"));
    assert_refused(&c, "no meaning with head.pool gsp");
    c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "data.images=255"));
    assert_refused(&c, "data.images: 255 is less than train.batch 256");
}

static void fields_edited_by_hand_are_checked_too(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    c.train.batch = 1;
    assert_refused(&c, "train.batch: '1' is out of range");
    c = bw_config_default();
    c.model.arch = (bw_arch)9;
    assert_refused(&c, "model.arch: '9'");
    c = bw_config_default();
    c.projector.n = 9;
    assert_refused(&c, "projector.widths");
    c.projector.n = 0;
    assert_refused(&c, "projector.widths: an empty list");
    c = bw_config_default();
    c.loss.lambda = (double)NAN;
    assert_refused(&c, "loss.lambda");
    c = bw_config_default();
    c.augment.view[1].blur_sigma[0] = 3;
    assert_refused(&c, "augment.view2.blur_sigma: '[3, 2]'");
    c = bw_config_default();
    c.model.width = 68;
    assert_refused(&c, "model.width: '68'");
}

static void resumed_run_may_change_threads_and_checkpoints_only(void **state)
{
    (void)state;
    bw_config a = RESOLVED("train.batch=64"), b;
    b = RESOLVED("train.batch=64", "threads=7", "data.threads=9", "checkpoint.every=5", "checkpoint.keep=9");
    CHECK_OK(bw_config_same_run(&a, &b));
    b = RESOLVED("train.batch=32", "optimizer.lr=0.7");
    assert_int_equal(bw_config_same_run(&a, &b), BW_EINVAL);
    assert_string_equal(bw_last_error(),
                        "train.batch: the run was started with 64 and cannot be continued with 32; use the "
                        "same value, or start a new run");
    const char *others[] = { "seed=1",
                             "projector.widths=[2048,2048]",
                             "noise.kind=hw",
                             "augment.hue=0.11",
                             "augment.view2.solarize_prob=0.1",
                             "train.epochs=101",
                             "data.images=1000",
                             "health.every=50" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        b = RESOLVED("train.batch=64", others[i]);
        assert_int_equal(bw_config_same_run(&a, &b), BW_EINVAL);
    }
}

static void block_takes_the_settings_of_the_run(void **state)
{
    (void)state;
    bw_config c =
        RESOLVED("projector.widths=[16,24]", "loss.scale=0.5", "noise.kind=hw", "optimizer.lr=0.25");
    bw_block_config b = bw_config_block(&c, 3);
    assert_true(b.projector.n == 2 && b.projector.widths[1] == 24 && b.loss.scale == 0.5);
    assert_true(b.noise.kind == BW_NOISE_HW && b.optimizer.lr == 0.25 && b.head.dim == 2048);
}

static void recipes_of_the_project_load_and_resolve(void **state)
{
    (void)state;
    bw_recipe r;
    int n = 0;
    assert_int_equal(unsetenv("BLOCKWISE_RECIPES"), 0);
    char before[64] = "";
    for (; bw_recipe_at(&r, n); n++) {
        bw_config c = bw_config_default();
        CHECK_OK(bw_config_load_recipe(&c, r.name));
        CHECK_OK(bw_config_resolve(&c));
        assert_true(strlen(r.help) > 10 && r.help[0] != '#');
        assert_true(strcmp(before, r.name) < 0);
        memcpy(before, r.name, sizeof before);
        c = bw_config_default();
        CHECK_OK(bw_config_load_recipe(&c, r.name));
        /* End to end there is no block 2 whose head could differ. */
        if (bw_config_is_set(&c, "head.pool") || strcmp(r.name, "paper-strided-heads") == 0) continue;
        CHECK_OK(bw_config_set(&c, "train.order=end-to-end"));
        CHECK_OK(bw_config_set(&c, "train.batch=16"));
        CHECK_OK(bw_config_set(&c, "train.split=1"));
        CHECK_OK(bw_config_resolve(&c));
        assert_int_equal(c.head.pool, BW_POOL_GSP);
    }
    assert_true(n >= 3);
    assert_false(bw_recipe_at(&r, -1));
}

static void paper_recipe_has_the_values_of_the_paper(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_load_recipe(&c, "paper-imagenet"));
    CHECK_OK(bw_config_resolve(&c));
    assert_true(c.model.arch == BW_ARCH_RESNET50 && c.model.width == 64 && c.data.image_size == 224);
    assert_true(c.model.zero_init_residual && c.head.pool == BW_POOL_CBE && c.head.dim == 2048);
    assert_true(c.projector.n == 3 && c.projector.widths[0] == 8192 && c.projector.widths[2] == 8192);
    assert_true(c.train.epochs == 300 && c.train.batch == 2048 && c.optimizer.lr == 0.2);
    assert_true(c.optimizer.momentum == 0.9 && c.optimizer.eta == 0.001 && c.optimizer.weight_decay == 1e-6);
    assert_true(c.optimizer.warmup_epochs == 10 && c.optimizer.final_lr == 0.001);
    assert_true(c.loss.lambda == 0.0051 && c.loss.scale == 0.024);
    assert_true(c.noise.kind == BW_NOISE_ALL && c.noise.sigma == 0.25);
    assert_true(c.augment.view[0].blur_prob == 1 && c.augment.view[1].blur_prob == 0.1);
    assert_true(c.augment.view[0].solarize_prob == 0 && c.augment.view[1].solarize_prob == 0.2);
}

/* What a variant is called after, and everything else as published. */
static void variants_of_the_paper_differ_from_it_in_what_they_are_called_after(void **state)
{
    (void)state;
    const struct {
        const char *name, *set[6];
    } variants[] = {
        { "paper-no-noise", { "noise.kind=none" } },
        { "paper-noise-hw", { "noise.kind=hw" } },
        { "paper-noise-c", { "noise.kind=c" } },
        { "paper-gsp", { "head.pool=gsp" } },
        { "paper-lsp", { "head.pool=lsp" } },
        { "paper-cbe3", { "head.filter=3" } },
        { "paper-sequential", { "train.order=sequential" } },
        { "paper-units", { "model.cuts=units" } },
        { "paper-vicreg", { "loss.name=vicreg", "loss.scale=1" } },
        { "paper-simclr", { "loss.name=simclr", "loss.scale=1" } },
        { "paper-end-to-end", { "train.order=end-to-end", "head.pool=gsp", "noise.kind=none" } },
        { "paper-supervised",
          { "loss.name=cross-entropy", "loss.scale=1", "projector.widths=[]", "train.epochs=100",
            "optimizer={name: sgd, lr: 0.1, weight_decay: 1e-4}" } },
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        bw_config want = bw_config_default(), got = bw_config_default();
        CHECK_OK(bw_config_load_recipe(&got, variants[i].name));
        CHECK_OK(bw_config_load_recipe(&want, "paper-imagenet"));
        for (int j = 0; j < 6 && variants[i].set[j]; j++)
            CHECK_OK(bw_config_set(&want, variants[i].set[j]));
        CHECK_OK(bw_config_resolve(&got));
        CHECK_OK(bw_config_resolve(&want));
        CHECK_OK(bw_config_same_run(&want, &got));
    }
}

static void recipe_is_found_in_the_folder_of_the_environment_first(void **state)
{
    (void)state;
    char path[4200];
    const char *folder = temp_folder();
    bw_config c = bw_config_default();
    bw_recipe r;
    bool seen = false;

    assert_int_equal(setenv("BLOCKWISE_RECIPES", folder, 1), 0);
    (void)snprintf(path, sizeof path, "%s/cifar10.yaml", folder);
    CHECK_OK(bw__atomic_write(path, "# mine\nseed: 77\n", 16));
    CHECK_OK(bw_config_load_recipe(&c, "cifar10"));
    assert_true(c.seed == 77);
    for (int i = 0; bw_recipe_at(&r, i); i++) {
        if (strcmp(r.name, "cifar10") != 0) continue;
        assert_false(seen); /* listed once */
        assert_string_equal(r.help, "mine");
        seen = true;
    }
    assert_true(seen);
    (void)snprintf(path, sizeof path, "%s/wrong.yaml", folder);
    CHECK_OK(bw__atomic_write(path, "seed: 1\nsead: 2\n", 16));
    assert_int_equal(bw_config_load_recipe(&c, "wrong"), BW_EINVAL);
    assert_string_equal(bw_last_error(), "recipe wrong:2: unknown key 'sead'; did you mean 'seed'?");
    assert_int_equal(unsetenv("BLOCKWISE_RECIPES"), 0);
}

static void unknown_recipe_lists_those_there_are(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    const char *bad[] = { "cifar11", "../recipes/cifar10", "", "/etc/passwd", "cifar10.yaml" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(bw_config_load_recipe(&c, bad[i]), BW_EINVAL);
        assert_non_null(strstr(bw_last_error(), "unknown recipe"));
        assert_non_null(strstr(bw_last_error(), ": cifar10, "));
        assert_non_null(strstr(bw_last_error(), ", fashion-mnist-demo, "));
        assert_non_null(strstr(bw_last_error(), ", paper-vicreg"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_values_are_filled_in),
        cmocka_unit_test(head_is_as_wide_as_the_last_block),
        cmocka_unit_test(learning_rate_follows_the_batch_for_lars),
        cmocka_unit_test(end_to_end_takes_gsp_and_no_noise_unless_told),
        cmocka_unit_test(resolving_twice_changes_nothing_and_survives_printing),
        cmocka_unit_test(impossible_combinations_are_refused_with_the_reason),
        cmocka_unit_test(fields_edited_by_hand_are_checked_too),
        cmocka_unit_test(resumed_run_may_change_threads_and_checkpoints_only),
        cmocka_unit_test(block_takes_the_settings_of_the_run),
        cmocka_unit_test(recipes_of_the_project_load_and_resolve),
        cmocka_unit_test(paper_recipe_has_the_values_of_the_paper),
        cmocka_unit_test(variants_of_the_paper_differ_from_it_in_what_they_are_called_after),
        cmocka_unit_test(recipe_is_found_in_the_folder_of_the_environment_first),
        cmocka_unit_test(unknown_recipe_lists_those_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
