/* `blockwise robustness`: what is left of a block's accuracy when test images are corrupted. */
#include "cli/evaluation.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"
#include <math.h>

static json_t *corruptions_json(const bw_robustness_result *r)
{
    json_t *array = json_array();
    for (int i = 0; i < r->n; i++) {
        const bw_corruption_result *c = &r->corruption[i];
        json_t *entry = json_object(), *top1 = json_array();
        for (int s = 0; s < BW_SEVERITIES; s++)
            (void)json_array_append_new(top1, cli_json_percent(c->top1[s]));
        (void)json_object_set_new(entry, "name", bw__json_text(c->name));
        (void)json_object_set_new(entry, "top1", top1);
        (void)json_object_set_new(entry, "mean_error", cli_json_percent(c->mean_error));
        (void)json_object_set_new(entry, "ce", cli_json_percent(c->ce));
        (void)json_object_set_new(entry, "relative_ce", cli_json_percent(c->relative_ce));
        (void)json_array_append_new(array, entry);
    }
    return array;
}

static json_t *to_json(const bw_robustness_result *results, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        const bw_robustness_result *r = &results[i];
        json_t *entry = json_object();
        (void)json_object_set_new(entry, "block", json_integer(r->block + 1));
        (void)json_object_set_new(entry, "feature", bw__json_text(cli_feature_name(r->feature)));
        (void)json_object_set_new(entry, "clean_top1", cli_json_percent(r->clean_top1));
        (void)json_object_set_new(entry, "mean_error", cli_json_percent(r->mean_error));
        (void)json_object_set_new(entry, "mce", cli_json_percent(r->mce));
        (void)json_object_set_new(entry, "relative_mce", cli_json_percent(r->relative_mce));
        (void)json_object_set_new(entry, "corruptions", corruptions_json(r));
        (void)json_object_set_new(entry, "protocol", bw__json_text(r->protocol));
        (void)json_array_append_new(array, entry);
    }
    return array;
}

static void print_percent(double value)
{
    if (isfinite(value))
        printf(" %9.2f", value);
    else
        printf(" %9s", "-");
}

static void print_table(const bw_robustness_result *r, bool baseline)
{
    printf("block %d, %s: top-1 %.2f clean\n", r->block + 1, cli_feature_name(r->feature), r->clean_top1);
    printf("corruption          top-1 by severity 1 to %d             mean error", BW_SEVERITIES);
    printf(baseline ? "        CE  relative\n" : "\n");
    for (int i = 0; i < r->n; i++) {
        const bw_corruption_result *c = &r->corruption[i];
        printf("%-18s", c->name);
        for (int s = 0; s < BW_SEVERITIES; s++)
            printf("  %6.2f", c->top1[s]);
        printf("  %10.2f", c->mean_error);
        if (baseline) {
            print_percent(c->ce);
            print_percent(c->relative_ce);
        }
        printf("\n");
    }
    if (baseline) {
        printf("mCE");
        print_percent(r->mce);
        printf(", relative mCE");
        print_percent(r->relative_mce);
        printf("; mean error %.2f, not normalised\n", r->mean_error);
    } else {
        printf("mean error %.2f, not normalised: there is no --baseline\n", r->mean_error);
    }
    printf("protocol: %s\n", r->protocol);
}

static int run_robustness(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL, *baseline = NULL;
    bw_dataset *train = NULL, *test = NULL;
    bw_robustness_result *results = NULL;
    int n = 0;
    bw_robustness_options options = bw_robustness_options_default();

    BW_TRY(cli_open_splits(&train, &test, o));
    BW_TRY(bw_network_load(&network, o->arguments[0]));
    if (o->baseline) BW_TRY(bw_network_load(&baseline, o->baseline));
    BW_TRY(cli_check_block(network, o->block));
    options.block = o->block < 0 && !o->all_blocks ? bw_network_blocks(network) - 1 : o->block;
    cli_choose_features(&options.head, &options.trunk, o, network);
    options.corrupted = o->corrupted;
    options.corruptions = o->corruptions;
    options.epochs = o->epochs;
    options.max_images = o->images;
    options.max_test_images = o->test_images;
    options.seed = o->seed;
    options.threads = cli_threads(o);
    BW_TRY(
        bw_robustness(&results, &n, network, baseline, train, test, &options, cli_progress_callback, NULL));
    cli_progress_end();
    if (o->json)
        st = cli_print_json(to_json(results, n));
    else
        for (int i = 0; i < n; i++)
            print_table(&results[i], baseline != NULL);
out:
    bw_free(results);
    bw_network_free(network);
    bw_network_free(baseline);
    bw_dataset_free(train);
    bw_dataset_free(test);
    return cli_finish(st);
}

const cli_verb cli_robustness = {
    .name = "robustness",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Accuracy of a block's linear probe on corrupted test images",
    .notes = CLI_MODEL
    ". The probe is fitted once on clean training images. "
    "Accuracies and errors are per cent. With --baseline the mean corruption error (mCE) is that of "
    "Hendrycks & Dietterich (2019), with the given model in AlexNet's place.",
    .examples = "blockwise robustness runs/mine --data labelled/\n"
                "blockwise robustness runs/mine --data labelled/ --baseline runs/other",
    .options = { CLI_SPLIT_DATA, CLI_TRAIN, CLI_TEST, CLI_SOME_BLOCKS, CLI_FEATURE, CLI_CORRUPTED,
                 CLI_CORRUPTIONS, CLI_BASELINE, CLI_EPOCHS, CLI_IMAGES, CLI_TEST_IMAGES, CLI_SEED,
                 CLI_THREADS, CLI_DATA_FORMAT, CLI_JSON, CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_robustness
};
