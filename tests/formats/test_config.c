#include "check.h"
#include "base/clock.h"
#include "blockwise/config.h"
#include "formats/atomic_file.h"
#include "formats/config_schema.h"
#include "formats/real_text.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bw_status load(bw_config *config, const char *yaml)
{
    return bw_config_load(config, yaml, strlen(yaml), "my.yaml");
}

static void assert_message(const char *want)
{
    if (strcmp(bw_last_error(), want) != 0) fail_msg("got  '%s'\n want '%s'", bw_last_error(), want);
}

static void assert_message_has(const char *want)
{
    if (!strstr(bw_last_error(), want)) fail_msg("got '%s', want in it '%s'", bw_last_error(), want);
}

/* Loading `yaml` fails with `why` and changes nothing. */
static void refused(const char *yaml, const char *why)
{
    bw_config config = bw_config_default(), before;
    memcpy(&before, &config, sizeof before);
    bw_status st = load(&config, yaml);
    if (st != BW_EINVAL) fail_msg("%s: status %d", yaml, st);
    assert_message_has(why);
    assert_memory_equal(&config, &before, sizeof config);
}

static void defaults_are_the_documented_ones(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    assert_true(c.seed == 0 && c.threads == 0 && c.dtype == BW_DTYPE_F32);
    assert_true(c.model.arch == BW_ARCH_RESNET50 && c.model.width == 64 && c.model.stem == BW_STEM_IMAGENET);
    assert_true(c.model.cuts.n == BW_CUTS_STAGES && c.model.zero_init_residual);
    assert_true(c.head.pool == BW_POOL_CBE && c.head.filter == 1 && c.head.dim == 0 && c.head.stride == 1);
    assert_int_equal(c.projector.n, 3);
    assert_true(c.projector.widths[0] == 2048 && c.projector.widths[2] == 2048);
    assert_true(c.loss.name == BW_LOSS_BARLOW_TWINS && c.loss.lambda == 0.0051 && isnan(c.loss.scale));
    assert_true(c.noise.kind == BW_NOISE_NONE && c.noise.sigma == 0.25);
    assert_true(c.train.order == BW_ORDER_SIMULTANEOUS && c.train.epochs == 100 && c.train.batch == 256);
    assert_true(c.train.steps == -1 && !c.train.recompute);
    assert_true(c.optimizer.name == BW_OPTIMIZER_LARS && isnan(c.optimizer.lr) &&
                c.optimizer.momentum == 0.9);
    assert_true(c.optimizer.weight_decay == 1e-6 && c.optimizer.eta == 0.001);
    assert_true(c.optimizer.warmup_epochs == 10 && c.optimizer.final_lr == 0.001);
    for (int v = 0; v < BW_VIEWS; v++) {
        const bw_view_config *w = &c.augment.view[v];
        assert_true(w->crop_scale[0] == 0.08 && w->crop_scale[1] == 1);
        assert_true(w->crop_ratio[0] == 0.75 && w->crop_ratio[1] == 4.0 / 3);
        assert_true(w->interpolation == BW_INTERPOLATION_BICUBIC && w->flip_prob == 0.5);
        assert_true(w->jitter_prob == 0.8 && w->brightness == 0.4 && w->contrast == 0.4);
        assert_true(w->saturation == 0.2 && w->hue == 0.1 && w->grey_prob == 0.2);
        assert_true(w->blur_prob == (v == 0 ? 1 : 0.1) && w->solarize_prob == (v == 0 ? 0 : 0.2));
        assert_true(w->blur_sigma[0] == 0.1 && w->blur_sigma[1] == 2 && w->solarize_threshold == 128);
    }
    assert_true(c.augment.mean[0] == 0.485 && c.augment.mean[2] == 0.406 && c.augment.std[1] == 0.224);
    assert_true(c.data.image_size == 0 && c.data.max_bad == 0.01 && c.data.threads == 0 &&
                c.data.images == 0);
    assert_true(c.checkpoint.every == 0 && c.checkpoint.keep == 2 && c.health.every == 100);
    assert_true(c.parallel.data == 0 && c.parallel.block == 1 && c.probe.every == 0);
}

static void nested_maps_dotted_keys_and_lists_are_read(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(load(&c, "---\n"
                      "seed: 18446744073709551615   # the largest\n"
                      "model: {arch: resnet18, width: 16}\n"
                      "projector.widths: [64, 32]\n"
                      "augment:\n"
                      "  view1.crop_scale: [0.2, 0.9]\n"
                      "  view2:\n"
                      "    crop_scale:\n"
                      "    - 0.3\n"
                      "    - 1e0\n"
                      "train:\n"
                      "  # nothing here\n"
                      "optimizer:\n"
                      "  lr: \"0.5\"\n"));
    assert_true(c.seed == UINT64_MAX && c.model.arch == BW_ARCH_RESNET18 && c.model.width == 16);
    assert_int_equal(c.projector.n, 2);
    assert_true(c.projector.widths[0] == 64 && c.projector.widths[1] == 32 && c.projector.widths[2] == 0);
    assert_true(c.augment.view[0].crop_scale[0] == 0.2 && c.augment.view[0].crop_scale[1] == 0.9);
    assert_true(c.augment.view[1].crop_scale[0] == 0.3 && c.augment.view[1].crop_scale[1] == 1);
    assert_true(c.optimizer.lr == 0.5);
    CHECK_OK(load(&c, ""));
    CHECK_OK(load(&c, "# a comment\n"));
    CHECK_OK(load(&c, "---\n"));
}

static void later_loads_win_and_what_was_given_is_known(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(load(&c, "train.batch: 64\ntrain.epochs: 3\n"));
    CHECK_OK(bw_config_set(&c, "train.batch=32"));
    assert_true(c.train.batch == 32 && c.train.epochs == 3);
    assert_true(bw_config_is_set(&c, "train.batch"));
    assert_false(bw_config_is_set(&c, "train.order"));
    assert_false(bw_config_is_set(&c, "no.such.key"));
    assert_false(bw_config_is_set(&c, "health.every"));
    CHECK_OK(bw_config_set(&c, "health.every=7")); /* the last key: beyond the first 64 */
    assert_true(bw_config_is_set(&c, "health.every"));
    CHECK_OK(load(&c, "optimizer.lr: 0.5\n"));
    assert_true(bw_config_is_set(&c, "optimizer.lr"));
    CHECK_OK(load(&c, "optimizer.lr: auto\n")); /* takes back what was given */
    assert_false(bw_config_is_set(&c, "optimizer.lr"));
    CHECK_OK(bw_config_set(&c, "optimizer.lr=auto"));
    assert_false(bw_config_is_set(&c, "optimizer.lr"));
}

static void key_without_view_sets_both_views(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(load(&c, "augment:\n  blur_prob: 0.25\n  view2.blur_prob: 0.75\n  blur_sigma: [1, 3]\n"));
    assert_true(c.augment.view[0].blur_prob == 0.25 && c.augment.view[1].blur_prob == 0.75);
    assert_true(c.augment.view[0].blur_sigma[1] == 3 && c.augment.view[1].blur_sigma[1] == 3);
    assert_true(bw_config_is_set(&c, "augment.blur_prob") &&
                bw_config_is_set(&c, "augment.view1.blur_sigma"));
    CHECK_OK(bw_config_set(&c, "augment.view1.hue=0.2"));
    assert_false(bw_config_is_set(&c, "augment.hue"));
}

static void set_takes_yaml_values(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "projector.widths=[128,128,129]"));
    assert_true(c.projector.n == 3 && c.projector.widths[2] == 129);
    CHECK_OK(bw_config_set(&c, "model={arch: resnet34, width: 24}"));
    assert_true(c.model.arch == BW_ARCH_RESNET34 && c.model.width == 24);
    CHECK_OK(bw_config_set(&c, "train.order = end-to-end"));
    assert_true(c.train.order == BW_ORDER_END_TO_END);
    CHECK_OK(bw_config_set(&c, "optimizer.lr=2.5e-2"));
    assert_true(c.optimizer.lr == 0.025);
    CHECK_OK(bw_config_set(&c, "optimizer.lr=auto"));
    assert_true(isnan(c.optimizer.lr));
    CHECK_OK(bw_config_set(&c, "train.steps=0"));
    assert_true(c.train.steps == 0);
    CHECK_OK(bw_config_set(&c, "train.steps=auto"));
    assert_true(c.train.steps == -1);
    CHECK_OK(bw_config_set(&c, "model.zero_init_residual=false"));
    assert_false(c.model.zero_init_residual);
}

static void unknown_key_names_place_and_nearest_key(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    assert_int_equal(load(&c, "seed: 1\n\n\n\n\n\noptimiser.lr: 1\n"), BW_EINVAL);
    assert_message("my.yaml:7: unknown key 'optimiser.lr'; did you mean 'optimizer.lr'?");
    assert_int_equal(load(&c, "augment:\n  view1:\n    gray_prob: 0\n"), BW_EINVAL);
    assert_message(
        "my.yaml:3: unknown key 'augment.view1.gray_prob'; did you mean 'augment.view1.grey_prob'?");
    assert_int_equal(load(&c, "augment: {gray_prob: 0}\n"), BW_EINVAL);
    assert_message("my.yaml:1: unknown key 'augment.gray_prob'; did you mean 'augment.grey_prob'?");
    assert_int_equal(bw_config_set(&c, "train.batchh=4"), BW_EINVAL);
    assert_message("--set train.batchh=4: unknown key 'train.batchh'; did you mean 'train.batch'?");
    assert_int_equal(bw_config_set(&c, "lr=4"), BW_EINVAL);
    assert_message_has("did you mean 'optimizer.lr'?");
    assert_int_equal(bw_config_set(&c, "optimizer.decay=[0.5]"), BW_EINVAL);
    assert_message_has("did you mean 'optimizer.decay_at'?");
    assert_int_equal(bw_config_set(&c, "head.widths=[4]"), BW_EINVAL);
    assert_message_has("unknown key 'head.widths'");
}

static void value_out_of_range_names_key_place_value_and_range(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    assert_int_equal(load(&c, "model:\n  width: 4\n"), BW_EINVAL);
    assert_message(
        "my.yaml:2: model.width: '4' is out of range; allowed: 8..1024, a multiple of 8 (the vector "
        "kernels take channels by eights)");
    assert_int_equal(bw_config_set(&c, "train.batch=1"), BW_EINVAL);
    assert_message("--set train.batch=1: train.batch: '1' is out of range; allowed: 2..1048576 (batch "
                   "statistics need two)");
    assert_int_equal(bw_config_set(&c, "train.order=alternating"), BW_EINVAL);
    assert_message("--set train.order=alternating: train.order: 'alternating' is not one of them; allowed: "
                   "simultaneous, end-to-end, sequential");
    refused("model.width: 12\n", "a multiple of 8");
    refused("augment.flip_prob: 1.5\n", "'1.5' is out of range; allowed: 0..1");
    refused("augment.crop_scale: [0.5, 0.2]\n", "the smaller first");
    refused("projector.widths: [8, 0]\n", "out of range");
    refused("threads: 5000\n", "out of range");
    refused("train.steps: -2\n", "out of range");
    refused("head.filter: 2\n", "'2' is out of range; allowed: 1 or 3");
    refused("model.cuts: [3, 3]\n", "allowed: stages, units, or a list of 0 to 63 whole numbers in 1..63");
    refused("model.cuts: blocks\n", "'blocks' is neither one of the words nor a list");
    refused("optimizer.decay_at: [0.8, 0.6]\n",
            "allowed: a list of 1 to 8 numbers in 0..1, the smaller first");
    refused("parallel.block: 65\n", "1..64");
    refused("loss.name: byol\n", "allowed: barlow-twins, vicreg, simclr, cross-entropy");
}

static void value_of_the_wrong_type_is_refused(void **state)
{
    (void)state;
    refused("train.batch: many\n", "my.yaml:1: train.batch: 'many' is not a whole number");
    refused("train.batch: 3.5\n", "not a whole number");
    refused("train.batch: 99999999999999999999\n", "not a whole number");
    refused("threads: 4294967297\n", "'4294967297' is out of range"); /* 1 once cut to 32 bits */
    refused("train.batch: [4]\n", "one value is wanted");
    refused("train.batch: auto\n", "not a whole number");
    refused("train.batch:\n", "no value is given");
    refused("seed: -1\n", "not a whole number");
    refused("seed: 18446744073709551616\n", "not a whole number");
    refused("optimizer.lr: fast\n", "not a number");
    refused("optimizer.lr: nan\n", "not a number");
    refused("optimizer.lr: .inf\n", "not a number");
    refused("optimizer.lr: 1e999\n", "not a number");
    refused("optimizer.lr: 0x10\n", "not a number");
    refused("optimizer.lr: 1.2.3\n", "not a number");
    refused("model.zero_init_residual: yes\n", "neither true nor false");
    refused("projector.widths: 8\n", "a list is wanted");
    refused("projector.widths: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n", "a list of 9");
    refused("projector.widths: [1,1,1,1,1,1,1,1,1]\n", "a list of 9");
    refused("projector.widths: [[8]]\n", "plain values");
    refused("augment.mean: [0.5, 0.5]\n", "a list of 2");
    refused("train: 5\n", "a group of keys");
    refused("train.batch: {a: 5}\n", "unknown key 'train.batch.a'");
}

static void damaged_yaml_names_the_line(void **state)
{
    (void)state;
    refused("seed: 1\ntrain: {batch: 4\n", "my.yaml:3: not valid YAML");
    refused("seed: 1\n\tx: 2\n", "my.yaml:2: not valid YAML");
    refused("seed: \"\xff\"\n", "not valid YAML");
    refused("- 1\n", "keys with values are wanted");
    refused("hello\n", "keys with values are wanted");
    refused("[1]: 2\n", "a key is wanted");
    refused("seed: &a 1\ntrain.batch: *a\n", "anchors and aliases");
    refused("seed: 1\n---\nseed: 2\n", "a second document");
    refused("{a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}}}\n", "nested too deeply");
    refused("seed: \"1\\0\"\n", "not a whole number");
    refused("projector.widths: [\"8\\0\"]\n", "not a whole number");
    refused("train.batch: 4\ntrain: {batch: 8}\n", "my.yaml:2: train.batch is given twice, first in line 1");
}

static void assignment_without_key_or_value_is_refused(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    const char *bad[] = { "train.batch", "=4", "", "  =4" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(bw_config_set(&c, bad[i]), BW_EINVAL);
        assert_message_has("KEY=VALUE");
    }
    const char *empty[] = { "train.batch=", "train.batch=  ", "train.batch=#4", "train.batch=''" };
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_int_equal(bw_config_set(&c, empty[i]), BW_EINVAL);
        assert_message_has("no value is given");
    }
    assert_int_equal(bw_config_set(&c, "train="), BW_EINVAL);
    assert_message_has("a group of keys");
}

/* Every key gets a value that is allowed and is not its default, then the text is loaded again. */
static void printed_configuration_loads_back_identically(void **state)
{
    (void)state;
    const char *yaml =
        "seed: 18446744073709551615\nthreads: 3\ndtype: auto\n"
        "model: {arch: resnet101, width: 72, stem: cifar, zero_init_residual: false}\n"
        "head: {pool: cbe, dim: 88}\nprojector.widths: [1, 65536, 3, 4, 5, 6, 7, 8]\n"
        "loss: {lambda: 0.1, scale: 0.30000000000000004}\nnoise: {kind: hw, sigma: 1e-7}\n"
        "train: {order: end-to-end, epochs: 7, batch: 1048576, steps: 123456789012, recompute: true}\n"
        "optimizer: {name: sgd, lr: 3.3333333333333335e-05, momentum: 0.99999, weight_decay: 0.123456789,"
        " eta: 1e-9, warmup_epochs: 2.5, final_lr: 1e-300}\n"
        "augment:\n  crop_scale: [0.1, 0.2]\n  crop_ratio: [0.3, 0.30000000000000004]\n"
        "  interpolation: bilinear\n  flip_prob: 0.01\n  jitter_prob: 0.02\n  brightness: 0.03\n"
        "  contrast: 0.04\n  saturation: 0.05\n  hue: 0.06\n  grey_prob: 0.07\n  blur_prob: 0.08\n"
        "  blur_sigma: [0.5, 0.6]\n  solarize_prob: 0.09\n  solarize_threshold: 256\n"
        "  view2.hue: 0.33\n  mean: [0.1, 0.2, 0.3]\n  std: [1.1, 1.2, 1.3]\n"
        "data: {image_size: 48, max_bad: 0.5, threads: 5, images: 99}\n"
        "checkpoint: {every: 11, keep: 4}\nhealth.every: 13\n";
    bw_config first = bw_config_default(), second = bw_config_default();
    char *text, *again, value[BW_KEY_TEXT];

    CHECK_OK(load(&first, yaml));
    CHECK_OK(bw_config_to_yaml(&text, &first));
    CHECK_OK(load(&second, text));
    CHECK_OK(bw_config_to_yaml(&again, &second));
    assert_string_equal(text, again);
    /* The same bytes once the marks of what was given, which now say "everything", are put aside. */
    for (int i = 0; i < bw__keys(); i++) {
        bw__key_format(value, &second, bw__key(i));
        bool follows = bw__key(i)->auto_word && strcmp(value, bw__key(i)->auto_word) == 0;
        assert_int_equal(bw_config_is_set(&second, bw__key(i)->name), !follows);
        assert_non_null(strstr(text, value));
    }
    memcpy(second.is_set, first.is_set, sizeof second.is_set);
    assert_memory_equal(&first, &second, sizeof first);
    bw_free(text);
    bw_free(again);
}

static void unresolved_default_loads_back_too(void **state)
{
    (void)state;
    bw_config first = bw_config_default(), second = bw_config_default();
    char *text;
    CHECK_OK(bw_config_set(&second, "train.steps=5"));
    CHECK_OK(bw_config_to_yaml(&text, &first));
    assert_non_null(strstr(text, "  lr: auto\n"));
    assert_non_null(strstr(text, "augment:\n  view1:\n    crop_scale: [0.08, 1]\n"));
    assert_non_null(strstr(text, "  weight_decay: 1.0e-06\n"));
    const char *view1 = strstr(text, "  view1:\n");
    assert_null(strstr(view1 + 1, "  view1:\n")); /* every group is opened once */
    CHECK_OK(load(&second, text));
    memcpy(second.is_set, first.is_set, sizeof second.is_set);
    memcpy(second.is_told, first.is_told, sizeof second.is_told);
    assert_memory_equal(&first, &second, sizeof first);
    bw_free(text);
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    char text[BW_REAL_TEXT];
    double x;
    const char *const with_comma[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8" };
    bool found = false;
    for (size_t i = 0; i < 4 && !found; i++)
        found = setlocale(LC_ALL, with_comma[i]) != NULL;
    if (!found) skip(); /* this machine has no such locale */
    bool parsed = bw__real_parse(&x, "-1.5e-3");
    bw__real_format(text, -1.5e-3);
    (void)setlocale(LC_ALL, "C");
    assert_true(parsed && x == -1.5e-3);
    assert_string_equal(text, "-0.0015");
}

static void numbers_survive_as_text_and_nothing_else_is_a_number(void **state)
{
    (void)state;
    char text[BW_REAL_TEXT];
    double x;
    const double odd[] = { 0.1, 1.0 / 3, 1e22, 5e-324, 1.7976931348623157e308, 123456789, -0.0 };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        bw__real_format(text, odd[i]);
        assert_true(bw__real_parse(&x, text));
        assert_memory_equal(&x, &odd[i], sizeof x);
    }
    const char *bad[] = { "", " 1", "1 ", "inf", "nan", "0x1", "1e", "e1", ".", "-", "1,5", "1e999" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(bw__real_parse(&x, bad[i]));
}

static void every_key_is_listed_with_range_default_and_help(void **state)
{
    (void)state;
    bw_config_key key;
    int n = 0;
    for (; bw_config_key_at(&key, n); n++) {
        assert_true(strlen(key.help) > 5 && strlen(key.range) > 0 && strlen(key.type) > 0);
        assert_true(strlen(key.default_text) > 0);
        assert_int_equal(bw__key_find(key.name), n);
    }
    assert_true(n > 60);
    assert_false(bw_config_key_at(&key, -1));
    assert_true(bw_config_key_at(&key, bw__key_find("head.pool")));
    assert_string_equal(key.range, "gsp, cbe, lsp");
    assert_string_equal(key.default_text, "cbe");
    assert_true(bw_config_key_at(&key, bw__key_find("train.steps")));
    assert_string_equal(key.range, "0..1000000000000, or auto");
    assert_string_equal(key.used_with, "");
    assert_true(bw_config_key_at(&key, bw__key_find("noise.sigma")));
    assert_string_equal(key.used_with, "noise.kind all or hw or c");
}

static void file_is_read_and_named_in_messages(void **state)
{
    (void)state;
    char path[4200], want[4300];
    bw_config c = bw_config_default();
    (void)snprintf(path, sizeof path, "%s/run.yaml", temp_folder());
    assert_int_equal(bw_config_load_file(&c, path), BW_EIO);
    assert_message_has("No such file");
    CHECK_OK(bw__atomic_write(path, "seed: 5\nmodel.width: 9\n", 23));
    assert_int_equal(bw_config_load_file(&c, path), BW_EINVAL);
    (void)snprintf(want, sizeof want, "%s:2: model.width: '9'", path);
    assert_message_has(want);
    assert_true(c.seed == 0);
    CHECK_OK(bw__atomic_write(path, "seed: 5\n", 8));
    CHECK_OK(bw_config_load_file(&c, path));
    assert_true(c.seed == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(nested_maps_dotted_keys_and_lists_are_read),
        cmocka_unit_test(later_loads_win_and_what_was_given_is_known),
        cmocka_unit_test(key_without_view_sets_both_views),
        cmocka_unit_test(set_takes_yaml_values),
        cmocka_unit_test(unknown_key_names_place_and_nearest_key),
        cmocka_unit_test(value_out_of_range_names_key_place_value_and_range),
        cmocka_unit_test(value_of_the_wrong_type_is_refused),
        cmocka_unit_test(damaged_yaml_names_the_line),
        cmocka_unit_test(assignment_without_key_or_value_is_refused),
        cmocka_unit_test(printed_configuration_loads_back_identically),
        cmocka_unit_test(unresolved_default_loads_back_too),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(numbers_survive_as_text_and_nothing_else_is_a_number),
        cmocka_unit_test(every_key_is_listed_with_range_default_and_help),
        cmocka_unit_test(file_is_read_and_named_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
