/* `blockwise knn`: the votes of the nearest training images, by the features of every block. */
#include "cli/evaluation.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"
#include <string.h>

static const char *feature_name(const bw_knn_result *r)
{
    return r->block < 0 ? "pixels" : cli_feature_name(r->feature);
}

static json_t *to_json(const bw_knn_result *results, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        const bw_knn_result *r = &results[i];
        json_t *entry = json_object();
        (void)json_object_set_new(entry, "block", cli_json_block(r->block, "raw"));
        (void)json_object_set_new(entry, "feature", bw__json_text(feature_name(r)));
        (void)json_object_set_new(entry, "k", json_integer(r->k));
        (void)json_object_set_new(entry, "top1", cli_json_percent(r->top1));
        (void)json_object_set_new(entry, "top5", cli_json_percent(r->top5));
        (void)json_object_set_new(entry, "protocol", bw__json_text(r->protocol));
        (void)json_array_append_new(array, entry);
    }
    return array;
}

static void print_table(const bw_knn_result *results, int n)
{
    printf("block   feature      k   top-1   top-5\n");
    for (int i = 0; i < n; i++) {
        const bw_knn_result *r = &results[i];
        char block[16];
        (void)snprintf(block, sizeof block, "%d", r->block + 1);
        printf("%-7s %-7s %6d  %6.2f  %6.2f\n", r->block < 0 ? "raw" : block, feature_name(r), r->k, r->top1,
               r->top5);
    }
    for (int i = 0; i < n; i++) {
        bool said = false;
        for (int j = 0; j < i && !said; j++)
            said = strcmp(results[i].protocol, results[j].protocol) == 0;
        if (!said) printf("protocol: %s\n", results[i].protocol);
    }
}

static int run_knn(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    bw_dataset *train = NULL, *test = NULL;
    bw_knn_result *results = NULL;
    int n = 0;
    bw_knn_options options = bw_knn_options_default();

    if (!o->raw && o->n_arguments == 0) cli_usage_error("needs MODEL, or --raw");
    BW_TRY(cli_open_splits(&train, &test, o));
    if (o->n_arguments > 0) {
        BW_TRY(bw_network_load(&network, o->arguments[0]));
        BW_TRY(cli_check_block(network, o->block));
    }
    options.raw = o->raw;
    options.block = o->block;
    cli_choose_features(&options.head, &options.trunk, o, network);
    options.n_k = o->n_k;
    memcpy(options.k, o->k, sizeof options.k);
    options.temperature = o->temperature;
    options.max_images = o->images;
    options.seed = o->seed;
    options.threads = cli_threads(o);
    BW_TRY(bw_knn(&results, &n, network, train, test, &options, cli_progress_callback, NULL));
    cli_progress_end();
    if (o->json)
        st = cli_print_json(to_json(results, n));
    else
        print_table(results, n);
out:
    bw_free(results);
    bw_network_free(network);
    bw_dataset_free(train);
    bw_dataset_free(test);
    return cli_finish(st);
}

const cli_verb cli_knn = { .name = "knn",
                           .arguments = "[MODEL]",
                           .min_arguments = 0,
                           .max_arguments = 1,
                           .summary = "Nearest-neighbour accuracy of every block, or of raw pixels",
                           .notes = CLI_MODEL ". Accuracies are per cent of the "
                                              "test split.",
                           .examples = "blockwise knn runs/mine --data labelled/ --k 20,200\n"
                                       "blockwise knn --raw --data labelled/",
                           .options = { CLI_SPLIT_DATA, CLI_TRAIN, CLI_TEST, CLI_RAW, CLI_K, CLI_TEMPERATURE,
                                        CLI_BLOCK, CLI_FEATURE, CLI_IMAGES, CLI_SEED, CLI_THREADS,
                                        CLI_DATA_FORMAT, CLI_JSON, CLI_QUIET, CLI_END },
                           .interruptible = true,
                           .run = run_knn };
