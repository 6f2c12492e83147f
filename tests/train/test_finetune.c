/* Fine-tuning of tiny networks on images in memory. */
#include "blockwise/trainer.h"
#include "data/memory_dataset.h"
#include "data/temp_files.h"
#include "model/network_internal.h"
#include "train/optimizer.h"
#include <math.h>

enum { S = 12, TRAIN = 96, TEST = 60 };

static void coloured(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x,
                     bw_rng *rng)
{
    (void)dataset, (void)y, (void)x;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)((c == index % 3 ? 130 : 60) + (int)bw__rng_below(rng, 60));
}

static memory_images train_images = { S, S, coloured, -1, 1 }, test_images = { S, S, coloured, -1, 2 };
static bw_network *network;
static bw_dataset train, test;

static bw_network *make_network(const char *more, const char *head)
{
    const char *const settings[] = { "model.arch=resnet18",
                                     "model.width=8",
                                     "model.stem=cifar",
                                     "data.image_size=12",
                                     "threads=1",
                                     "train.batch=16",
                                     "projector.widths=[8, 8]",
                                     more,
                                     head };
    bw_network *made = NULL;
    bw_config config = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (settings[i]) CHECK_OK(bw_config_set(&config, settings[i]));
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw_network_create(&made, &config));
    return made;
}

static int setup(void **state)
{
    (void)state;
    const char *names[3] = { "red", "green", "blue" };
    network = make_network("noise.kind=all", "head.dim=24");
    train = memory_dataset(&train_images, TRAIN, 3, names);
    test = memory_dataset(&test_images, TEST, 3, names);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bw_network_free(network);
    memory_dataset_free(&train);
    memory_dataset_free(&test);
    return 0;
}

static bw_finetune_options quick(void)
{
    bw_finetune_options o = bw_finetune_options_default();
    o.epochs = 8;
    o.threads = 1;
    o.lr_trunk = 0.05;
    return o;
}

static bw_finetune_result run(const bw_network *model, const bw_finetune_options *o)
{
    bw_finetune_result r;
    CHECK_OK(bw_finetune(&r, model, &train, &test, o, NULL, NULL));
    return r;
}

static void all_labels_teach_colours_and_leave_the_network_as_it_was(void **state)
{
    (void)state;
    float *before[4];
    bw_finetune_options o = quick();
    for (int k = 0; k < 4; k++) {
        size_t bytes = (size_t)network->params[k].total * sizeof(float);
        before[k] = malloc(bytes);
        memcpy(before[k], network->params[k].values, bytes);
    }
    bw_finetune_result r = run(network, &o);
    assert_int_equal(r.images, TRAIN);
    assert_int_equal(r.batch, 16);
    assert_int_equal(r.steps, 8 * 6);
    if (!(r.top1 > 80 && r.top1 <= 100)) fail_msg("top-1 is %g", r.top1);
    assert_true(r.top5 >= 100);
    assert_non_null(strstr(r.protocol,
                           "96 labelled images (a share of each class, from the seed), classifier on the "
                           "last block's head"));
    for (int k = 0; k < 4; k++) {
        assert_memory_equal(before[k], network->params[k].values,
                            (size_t)network->params[k].total * sizeof(float));
        free(before[k]);
    }
}

static void same_arguments_give_the_same_result(void **state)
{
    (void)state;
    bw_finetune_options o = quick();
    o.epochs = 2;
    o.label_fraction = 0.5;
    const bw_finetune_result a = run(network, &o), b = run(network, &o);
    o.seed = 1;
    const bw_finetune_result c = run(network, &o);
    assert_int_equal(a.images, TRAIN / 2);
    assert_true(memcmp(&a.loss, &b.loss, sizeof a.loss) == 0 && memcmp(&a.top1, &b.top1, sizeof a.top1) == 0);
    assert_true(fabs(a.loss - c.loss) > 1e-9);
}

/* A rate of 0 leaves a part where it was: the trunk learns only with a rate of its own, and starts from the
 * pretrained weights. */
static void trunk_learns_at_its_own_rate_from_the_weights_given(void **state)
{
    (void)state;
    bw_finetune_options o = quick();
    bw_network *other = make_network("seed=5", "head.dim=24");
    o.epochs = 4;
    o.lr_trunk = 0;
    const bw_finetune_result frozen = run(network, &o);
    const bw_finetune_result fresh = run(other, &o);
    o.lr_trunk = 0.05;
    const bw_finetune_result learnt = run(network, &o);
    assert_true(fabs(frozen.loss - learnt.loss) > 1e-6);
    assert_true(fabs(frozen.loss - fresh.loss) > 1e-6);
    bw_network_free(other);
}

static void one_step_with_rates_by_part_is_sgd_with_these_rates(void **state)
{
    (void)state;
    const double rate[3] = { 0.5, 0.25, 1.0 };
    bw_config c = bw_config_default();
    bw_params *p = &network->params[1];
    c.optimizer.name = BW_OPTIMIZER_SGD;
    c.optimizer.momentum = 0.9;
    c.optimizer.weight_decay = 0;
    float *grads = malloc((size_t)p->trained * sizeof *grads),
          *before = malloc((size_t)p->trained * sizeof *before);
    float *kept = p->momenta, *momenta = calloc((size_t)p->trained, sizeof *momenta);
    for (int64_t i = 0; i < p->trained; i++)
        grads[i] = 1.0f + (float)(i % 5);
    memcpy(before, p->values, (size_t)p->trained * sizeof *before);
    p->momenta = momenta;
    bw__optimizer_update_parts(p, grads, 0.01, rate, 1, &c.optimizer, 1);
    bool seen[3] = { false };
    for (int i = 0; i < p->n; i++) {
        const bw_param *q = &p->items[i];
        if (!bw__param_is_trained(q)) continue;
        seen[q->part] = true;
        for (int64_t j = q->offset; j < q->offset + q->count; j++) {
            const double want = (double)before[j] - 0.01 * rate[q->part] * (double)grads[j];
            if (!(fabs((double)p->values[j] - want) < 1e-6))
                fail_msg("%s: %g", q->name, (double)p->values[j]);
        }
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    memcpy(p->values, before, (size_t)p->trained * sizeof *before);
    p->momenta = kept;
    free(momenta);
    free(grads);
    free(before);
}

static void trunk_feature_and_end_to_end_networks_are_tuned_too(void **state)
{
    (void)state;
    bw_finetune_options o = quick();
    o.head = false;
    bw_finetune_result r = run(network, &o);
    assert_true(r.top1 > 80);
    assert_non_null(strstr(r.protocol, "the last block's trunk"));
    /* Loaded from files, as users have them. */
    char *folder = new_folder();
    bw_network *made = make_network("train.order=end-to-end", NULL), *loaded = NULL;
    CHECK_OK(bw_network_save(made, in(folder, "model.safetensors"), in(folder, "heads.safetensors")));
    CHECK_OK(bw_network_load(&loaded, in(folder, "model.safetensors")));
    o.head = true;
    r = run(loaded, &o);
    assert_true(r.top1 > 80);
    bw_network_free(loaded);
    /* A trunk alone. */
    CHECK_OK(bw_network_save(network, in(folder, "bare.safetensors"), NULL));
    (void)remove(in(folder, "heads.safetensors"));
    CHECK_OK(bw_network_load(&loaded, in(folder, "bare.safetensors")));
    assert_int_equal(bw_finetune(&r, loaded, &train, &test, &o, NULL, NULL), BW_EINVAL);
    o.head = false;
    r = run(loaded, &o);
    assert_true(r.top1 > 80);
    bw_network_free(made);
    bw_network_free(loaded);
    remove_folder(folder);
}

static void a_list_says_which_images_and_can_be_written(void **state)
{
    (void)state;
    char *folder = new_folder(), line[64];
    size_t size;
    bw_finetune_options o = quick();
    o.epochs = 1;
    write_text(folder, "few.txt", "picture-03\npicture-04\npicture-05\npicture-60\n");
    o.label_list = in(folder, "few.txt");
    o.batch = 16;
    bw_finetune_result r = run(network, &o);
    assert_int_equal(r.images, 4);
    assert_int_equal(r.batch, 4);
    assert_true(fabs(r.label_fraction - 4.0 / TRAIN) < 1e-12);
    assert_non_null(strstr(r.protocol, "4 labelled images (a list)"));
    o.label_list = NULL;
    o.label_fraction = 0.1;
    o.write_list = in(folder, "used.txt");
    r = run(network, &o);
    assert_int_equal(r.images, 9);
    uint8_t *text = read_whole(in(folder, "used.txt"), &size);
    assert_int_equal(size, 9 * strlen("picture-00\n"));
    free(text);
    (void)snprintf(line, sizeof line, "picture-97\n");
    write_text(folder, "few.txt", line);
    o.label_list = in(folder, "few.txt");
    o.write_list = NULL;
    assert_int_equal(bw_finetune(&r, network, &train, &test, &o, NULL, NULL), BW_EDATA);
    assert_non_null(
        strstr(bw_last_error(), "1 of 1 names are no images of the data set, the first is picture-97"));
    remove_folder(folder);
}

static void batch_leaves_sixteen_steps_an_epoch_unless_it_is_given(void **state)
{
    (void)state;
    const char *names[3] = { "red", "green", "blue" };
    bw_dataset many = memory_dataset(&train_images, 600, 3, names);
    bw_finetune_options o = quick();
    bw_finetune_result r;
    o.epochs = 1;
    CHECK_OK(bw_finetune(&r, network, &many, &test, &o, NULL, NULL));
    assert_int_equal(r.batch, 32);
    assert_int_equal(r.steps, 18);
    o.batch = 250;
    CHECK_OK(bw_finetune(&r, network, &many, &test, &o, NULL, NULL));
    assert_int_equal(r.batch, 250);
    assert_int_equal(r.steps, 2);
    memory_dataset_free(&many);
}

static int stop_soon(void *user, const char *what, double done)
{
    (void)user, (void)what;
    return done > 0.2;
}

static void what_makes_no_sense_is_refused_and_callers_can_interrupt(void **state)
{
    (void)state;
    bw_finetune_options o = quick();
    bw_finetune_result r;
    assert_int_equal(bw_finetune(&r, network, &train, &test, &o, stop_soon, NULL), BW_EINTERRUPTED);
    o.label_fraction = 0;
    assert_int_equal(bw_finetune(&r, network, &train, &test, &o, NULL, NULL), BW_EINVAL);
    o = quick();
    o.epochs = 0;
    assert_int_equal(bw_finetune(&r, network, &train, &test, &o, NULL, NULL), BW_EINVAL);
    o = quick();
    o.batch = 1;
    assert_int_equal(bw_finetune(&r, network, &train, &test, &o, NULL, NULL), BW_EINVAL);
    o = quick();
    o.lr_classifier = 0;
    assert_int_equal(bw_finetune(&r, network, &train, &test, &o, NULL, NULL), BW_EINVAL);
    o = quick();
    bw_dataset none = memory_dataset(&train_images, TRAIN, 0, NULL);
    assert_int_equal(bw_finetune(&r, network, &none, &test, &o, NULL, NULL), BW_EDATA);
    memory_dataset_free(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_labels_teach_colours_and_leave_the_network_as_it_was),
        cmocka_unit_test(same_arguments_give_the_same_result),
        cmocka_unit_test(trunk_learns_at_its_own_rate_from_the_weights_given),
        cmocka_unit_test(one_step_with_rates_by_part_is_sgd_with_these_rates),
        cmocka_unit_test(trunk_feature_and_end_to_end_networks_are_tuned_too),
        cmocka_unit_test(a_list_says_which_images_and_can_be_written),
        cmocka_unit_test(batch_leaves_sixteen_steps_an_epoch_unless_it_is_given),
        cmocka_unit_test(what_makes_no_sense_is_refused_and_callers_can_interrupt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
