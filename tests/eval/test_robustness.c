/* Robustness over tiny networks, images in memory and folders of corrupted images. */
#include "data/memory_dataset.h"
#include "blockwise/evaluate.h"
#include "data/temp_files.h"
#include "formats/npy.h"
#include <math.h>

enum { S = 12, TRAIN = 90, TEST = 60 };

/* Three colours under noise, far enough apart for any network, near enough for strong noise to hide. */
static void coloured(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x,
                     bw_rng *rng)
{
    (void)dataset, (void)y, (void)x;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)((c == index % 3 ? 70 : 50) + (int)bw__rng_below(rng, 30));
}

static memory_images train_images = { S, S, coloured, -1, 1 }, test_images = { S, S, coloured, -1, 2 };
static bw_network *network, *other;
static bw_dataset train, test;

static bw_network *make_network(const char *seed, const char *width)
{
    static const char *const settings[] = { "model.arch=resnet18", "model.stem=cifar",        "head.dim=24",
                                            "data.image_size=12",  "projector.widths=[8, 8]", "threads=1" };
    bw_network *made = NULL;
    bw_config config = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_OK(bw_config_set(&config, settings[i]));
    CHECK_OK(bw_config_set(&config, seed));
    CHECK_OK(bw_config_set(&config, width));
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw_network_create(&made, &config));
    return made;
}

static int setup(void **state)
{
    (void)state;
    const char *names[3] = { "red", "green", "blue" };
    network = make_network("seed=3", "model.width=8");
    other = make_network("seed=4", "model.width=16");
    train = memory_dataset(&train_images, TRAIN, 3, names);
    test = memory_dataset(&test_images, TEST, 3, names);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bw_network_free(network);
    bw_network_free(other);
    memory_dataset_free(&train);
    memory_dataset_free(&test);
    return 0;
}

static bw_robustness_options quick(void)
{
    bw_robustness_options o = bw_robustness_options_default();
    o.block = 3;
    o.epochs = 12;
    o.threads = 1;
    return o;
}

static bw_robustness_result *run(const bw_network *model, const bw_network *baseline,
                                 const bw_robustness_options *o, int want)
{
    bw_robustness_result *r = NULL;
    int n = 0;
    CHECK_OK(bw_robustness(&r, &n, model, baseline, &train, &test, o, NULL, NULL));
    assert_int_equal(n, want);
    return r;
}

static void accuracy_falls_as_noise_grows(void **state)
{
    (void)state;
    bw_robustness_options o = quick();
    o.corruptions = "contrast,gaussian_noise";
    bw_robustness_result *r = run(network, NULL, &o, 1);
    assert_int_equal(r->block, 3);
    assert_int_equal(r->n, 2);
    assert_string_equal(r->corruption[0].name, "contrast");
    assert_string_equal(r->corruption[1].name, "gaussian_noise");
    assert_true(r->clean_top1 > 90);
    const bw_corruption_result *noise = &r->corruption[1];
    for (int s = 0; s < BW_SEVERITIES; s++)
        assert_true(noise->top1[s] < r->clean_top1);
    assert_true(noise->top1[4] < noise->top1[0] - 5);
    double error = 0;
    for (int s = 0; s < BW_SEVERITIES; s++)
        error += (100 - noise->top1[s]) / BW_SEVERITIES;
    assert_true(fabs(noise->mean_error - error) < 1e-9);
    assert_true(fabs(r->mean_error - (error + r->corruption[0].mean_error) / 2) < 1e-9);
    assert_true(isnan(r->mce) && isnan(r->relative_mce) && isnan(noise->ce));
    assert_non_null(
        strstr(r->protocol, "CIFAR-10-C's severities, 60 test images each, mean error not normalised"));
    bw_free(r);
}

static void every_block_and_feature_is_scored_the_same_for_any_threads(void **state)
{
    (void)state;
    bw_robustness_options o = quick();
    o.block = -1;
    o.trunk = true;
    o.corruptions = "shot_noise";
    o.max_test_images = 40;
    bw_robustness_result *one = run(network, NULL, &o, 8);
    o.threads = 2;
    bw_robustness_result *two = run(network, NULL, &o, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(one[i].block, i / 2);
        assert_int_equal(one[i].feature, i % 2 ? BW_FEATURE_TRUNK : BW_FEATURE_HEAD);
        assert_memory_equal(one[i].corruption, two[i].corruption, sizeof *one[i].corruption);
        assert_non_null(strstr(one[i].protocol, "40 test images each"));
    }
    bw_free(one);
    bw_free(two);
}

static void all_corruptions_are_made_without_a_choice(void **state)
{
    (void)state;
    bw_robustness_options o = quick();
    const char *name, *help;
    int there = 0;
    while (bw_corruption_at(&name, &help, there))
        there++;
    o.max_test_images = 6;
    o.epochs = 1;
    bw_robustness_result *r = run(network, NULL, &o, 1);
    assert_int_equal(r->n, there);
    assert_true(there >= 8);
    for (int i = 0; i < there && bw_corruption_at(&name, &help, i); i++)
        assert_string_equal(r->corruption[i].name, name);
    bw_free(r);
}

static double sum_error(const bw_corruption_result *c, double clean_error)
{
    double sum = 0;
    for (int s = 0; s < BW_SEVERITIES; s++)
        sum += 100 - c->top1[s] - clean_error;
    return sum;
}

static void corruption_errors_are_shares_of_the_baselines(void **state)
{
    (void)state;
    bw_robustness_options o = quick();
    o.corruptions = "gaussian_noise,impulse_noise";
    bw_robustness_result *base = run(other, NULL, &o, 1);
    o.block = 1;
    bw_robustness_result *r = run(network, other, &o, 1);
    double mce = 0, relative = 0;
    for (int i = 0; i < 2; i++) {
        const bw_corruption_result *c = &r->corruption[i], *b = &base->corruption[i];
        double ce = 100 * sum_error(c, 0) / sum_error(b, 0);
        double rce = 100 * sum_error(c, 100 - r->clean_top1) / sum_error(b, 100 - base->clean_top1);
        assert_true(fabs(c->ce - ce) < 1e-9 && fabs(c->relative_ce - rce) < 1e-9);
        mce += ce / 2;
        relative += rce / 2;
    }
    assert_true(fabs(r->mce - mce) < 1e-9 && fabs(r->relative_mce - relative) < 1e-9);
    assert_true(mce > 0 && fabs(mce - 100) > 1e-3);
    assert_non_null(strstr(r->protocol, "mCE relative to the baseline model"));
    bw_free(base);
    bw_free(r);
}

/* Severity s: the test images, but 5 * s of the 60 have another image's label. */
static char *write_arrays(void)
{
    static uint8_t pixels[5 * TEST * S * S * 3], labels[5 * TEST];
    const int64_t shape[4] = { 5 * TEST, S, S, 3 };
    char *folder = new_folder();
    bw_image image = { 0 };
    for (int64_t i = 0; i < 5 * TEST; i++) {
        CHECK_OK(bw_dataset_read(&test, i % TEST, &image));
        memcpy(pixels + i * S * S * 3, image.rgb, S * S * 3);
        const int64_t wrong = i % TEST < 5 * (i / TEST + 1);
        labels[i] = (uint8_t)((i % TEST + wrong) % 3);
    }
    bw_image_clear(&image);
    CHECK_OK(bw__npy_write(in(folder, "fog.npy"), BW_NPY_U8, pixels, 4, shape));
    CHECK_OK(bw__npy_write(in(folder, "labels.npy"), BW_NPY_U8, labels, 1, shape));
    return folder;
}

static void folder_of_arrays_is_scored_as_it_is(void **state)
{
    (void)state;
    bw_robustness_options o = quick();
    char *folder = write_arrays();
    o.corrupted = folder;
    o.block = 1;
    bw_robustness_result *r = run(network, NULL, &o, 1);
    assert_int_equal(r->n, 1);
    assert_string_equal(r->corruption[0].name, "fog");
    assert_true(r->clean_top1 >= 100);
    for (int s = 0; s < BW_SEVERITIES; s++)
        assert_true(fabs(r->corruption[0].top1[s] - 100.0 * (TEST - 5 * (s + 1)) / TEST) < 1e-9);
    assert_non_null(strstr(r->protocol, "read from a folder"));
    bw_free(r);
    remove_folder(folder);
}

static void expect_refused(const bw_robustness_options *o, bw_status status, const char *words)
{
    bw_robustness_result *r = (bw_robustness_result *)&status;
    int n = 1;
    assert_int_equal(bw_robustness(&r, &n, network, NULL, &train, &test, o, NULL, NULL), status);
    assert_null(r);
    if (!strstr(bw_last_error(), words)) fail_msg("\"%s\" does not say \"%s\"", bw_last_error(), words);
}

static void what_cannot_be_scored_is_refused(void **state)
{
    (void)state;
    bw_robustness_options o = quick();
    o.corruptions = "contrast,fog";
    expect_refused(&o, BW_EINVAL, "corruption 'fog' cannot be made here; there are gaussian_noise");
    o.corruptions = "";
    expect_refused(&o, BW_EINVAL, "corruption '' cannot");
    o.corruptions = NULL;
    o.block = 4;
    expect_refused(&o, BW_EINVAL, "block 5");
    o = quick();
    char *folder = write_arrays();
    o.corrupted = folder;
    o.corruptions = "snow";
    expect_refused(&o, BW_EDATA, "no corruption 'snow' there; there are fog");
    o.corruptions = NULL;
    uint8_t labels[TEST] = { 5 };
    const int64_t n = TEST;
    CHECK_OK(bw__npy_write(in(folder, "labels.npy"), BW_NPY_U8, labels, 1, &n));
    expect_refused(&o, BW_EDATA, "fog, severity 1: labels.npy has class 5, but the training images have 3");
    remove_folder(folder);
}

static int stop_at_once(void *user, const char *what, double done)
{
    (void)user, (void)done;
    return strstr(what, "corrupted") != NULL;
}

static void caller_can_interrupt(void **state)
{
    (void)state;
    bw_robustness_options o = quick();
    bw_robustness_result *r = NULL;
    int n = 0;
    assert_int_equal(bw_robustness(&r, &n, network, NULL, &train, &test, &o, stop_at_once, NULL),
                     BW_EINTERRUPTED);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy_falls_as_noise_grows),
        cmocka_unit_test(every_block_and_feature_is_scored_the_same_for_any_threads),
        cmocka_unit_test(all_corruptions_are_made_without_a_choice),
        cmocka_unit_test(corruption_errors_are_shares_of_the_baselines),
        cmocka_unit_test(folder_of_arrays_is_scored_as_it_is),
        cmocka_unit_test(what_cannot_be_scored_is_refused),
        cmocka_unit_test(caller_can_interrupt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
