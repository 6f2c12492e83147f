/* `blockwise probe`: a linear classifier on every block of a frozen network. */
#include "base/folder.h"
#include "base/memory.h"
#include "cli/evaluation.h"
#include "cli/outputs.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "formats/atomic_file.h"
#include <string.h>

static json_t *to_json(const bw_probe_result *results, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        const bw_probe_result *r = &results[i];
        json_t *entry = json_object();
        (void)json_object_set_new(entry, "block", cli_json_block(r->block, "concat"));
        (void)json_object_set_new(entry, "feature", bw__json_text(cli_feature_name(r->feature)));
        (void)json_object_set_new(entry, "top1", cli_json_percent(r->top1));
        (void)json_object_set_new(entry, "top5", cli_json_percent(r->top5));
        (void)json_object_set_new(entry, "lr", bw__json_real(r->lr));
        (void)json_object_set_new(entry, "protocol", bw__json_text(r->protocol));
        (void)json_array_append_new(array, entry);
    }
    return array;
}

/* The same as --json prints. */
static bw_status write_record(const char *path, const json_t *value)
{
    bw_status st = BW_OK;
    char *text = NULL;
    BW_TRY(bw__json_pretty(&text, value));
    BW_TRY(bw__atomic_write(path, text, strlen(text)));
out:
    bw__free(text);
    return st;
}

static void print_table(const bw_probe_result *results, int n)
{
    printf("block   feature   top-1   top-5        lr\n");
    for (int i = 0; i < n; i++) {
        const bw_probe_result *r = &results[i];
        char block[16];
        (void)snprintf(block, sizeof block, "%d", r->block + 1);
        printf("%-7s %-7s  %6.2f  %6.2f  %8g\n", r->block < 0 ? "concat" : block,
               cli_feature_name(r->feature), r->top1, r->top5, r->lr);
    }
    for (int i = 0; i < n; i++) {
        bool said = false;
        for (int j = 0; j < i && !said; j++)
            said = strcmp(results[i].protocol, results[j].protocol) == 0;
        if (!said) printf("protocol: %s\n", results[i].protocol);
    }
}

static int run_probe(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    bw_dataset *train = NULL, *test = NULL;
    bw_probe_result *results = NULL;
    json_t *json = NULL;
    char *record = NULL; /* RUN/probe.json */
    int n = 0;
    bw_probe_options options = bw_probe_options_default();
    const cli_file save = { "--save", o->save }, inputs[] = {
        { "MODEL", o->arguments[0] }, { "--data", o->data }, { "--train", o->train }, { "--test", o->test }
    };

    BW_TRY(cli_outputs_differ(&save, 1, inputs, 4));
    BW_TRY(cli_open_splits(&train, &test, o));
    BW_TRY(bw_network_load(&network, o->arguments[0]));
    BW_TRY(cli_check_block(network, o->block));
    options.block = o->block;
    options.concat = o->concat;
    cli_choose_features(&options.head, &options.trunk, o, network);
    options.protocol = o->protocol;
    options.epochs = o->epochs;
    options.max_images = o->images;
    options.seed = o->seed;
    options.threads = cli_threads(o);
    options.save = o->save;
    if (cli_is_folder(o->arguments[0])) {
        BW_TRY(bw__folder_file(&record, o->arguments[0], "probe.json"));
        BW_TRY(bw__atomic_try(record));
    }
    BW_TRY(bw_probe(&results, &n, network, train, test, &options, cli_progress_callback, NULL));
    cli_progress_end();
    json = to_json(results, n);
    if (record) BW_TRY(write_record(record, json));
    if (o->json) {
        st = cli_print_json(json);
        json = NULL;
    } else {
        print_table(results, n);
    }
out:
    json_decref(json);
    bw__free(record);
    bw_free(results);
    bw_network_free(network);
    bw_dataset_free(train);
    bw_dataset_free(test);
    return cli_finish(st);
}

const cli_verb cli_probe = {
    .name = "probe",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Linear probe of what every block learnt",
    .notes = CLI_MODEL
    "; a run folder also receives the result as probe.json. Accuracies are per cent of the test split.",
    .examples = "blockwise probe runs/mine --data labelled/\n"
                "blockwise probe runs/mine --data labelled/ --block all --concat --json\n"
                "blockwise probe runs/mine --data labelled/ --save probe.safetensors",
    .options = { CLI_SPLIT_DATA, CLI_TRAIN, CLI_TEST, CLI_BLOCK, CLI_CONCAT, CLI_FEATURE, CLI_PROTOCOL,
                 CLI_EPOCHS, CLI_IMAGES, CLI_SEED, CLI_SAVE, CLI_THREADS, CLI_DATA_FORMAT, CLI_JSON,
                 CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_probe
};
