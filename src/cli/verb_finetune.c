/* `blockwise finetune`: the whole network trained on a part of the labels. */
#include "cli/evaluation.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"

static json_t *to_json(const bw_finetune_result *r, const bw_finetune_options *options)
{
    json_t *entry = json_object();
    (void)json_object_set_new(entry, "label_fraction", bw__json_real(r->label_fraction));
    (void)json_object_set_new(entry, "images", json_integer(r->images));
    (void)json_object_set_new(entry, "feature", bw__json_text(options->head ? "head" : "trunk"));
    (void)json_object_set_new(entry, "top1", cli_json_percent(r->top1));
    (void)json_object_set_new(entry, "top5", cli_json_percent(r->top5));
    (void)json_object_set_new(entry, "epochs", json_integer(r->epochs));
    (void)json_object_set_new(entry, "batch", json_integer(r->batch));
    (void)json_object_set_new(entry, "steps", json_integer(r->steps));
    (void)json_object_set_new(entry, "lr_trunk", bw__json_real(options->lr_trunk));
    (void)json_object_set_new(entry, "lr_classifier", bw__json_real(options->lr_classifier));
    (void)json_object_set_new(entry, "seed", json_integer((json_int_t)options->seed));
    (void)json_object_set_new(entry, "loss", bw__json_real(r->loss));
    (void)json_object_set_new(entry, "protocol", bw__json_text(r->protocol));
    return entry;
}

static void print_text(const bw_finetune_result *r)
{
    printf("labels %g (%lld images): top-1 %.2f, top-5 %.2f\n", r->label_fraction, (long long)r->images,
           r->top1, r->top5);
    printf("protocol: %s\n", r->protocol);
}

static int run_finetune(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    bw_dataset *train = NULL, *test = NULL;
    bw_finetune_result result;
    bw_finetune_options options = bw_finetune_options_default();
    bool trunk;

    if (!o->label_list && !(o->label_fraction > 0))
        cli_usage_error("needs --label-fraction 0.01, 0.1 or 1, or --label-list FILE");
    if (o->label_list && o->label_fraction > 0)
        cli_usage_error("--label-fraction and --label-list both say which labels are used; give one");
    BW_TRY(cli_open_splits(&train, &test, o));
    BW_TRY(bw_network_load(&network, o->arguments[0]));
    cli_choose_features(&options.head, &trunk, o, network);
    options.label_fraction = o->label_fraction;
    options.label_list = o->label_list;
    options.write_list = o->write_list;
    if (o->epochs > 0) options.epochs = o->epochs;
    if (o->lr_trunk > 0) options.lr_trunk = o->lr_trunk;
    if (o->lr_classifier > 0) options.lr_classifier = o->lr_classifier;
    options.weight_decay = o->weight_decay;
    options.batch = o->batch;
    options.max_test_images = o->test_images;
    options.seed = o->seed;
    options.threads = cli_threads(o);
    BW_TRY(bw_finetune(&result, network, train, test, &options, cli_progress_callback, NULL));
    cli_progress_end();
    if (o->json)
        st = cli_print_json(to_json(&result, &options));
    else
        print_text(&result);
out:
    bw_network_free(network);
    bw_dataset_free(train);
    bw_dataset_free(test);
    return cli_finish(st);
}

const cli_verb cli_finetune = {
    .name = "finetune",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Train the whole network on a part of the labels, and score it",
    .notes = CLI_MODEL
    "; it is read and never written. Accuracies are per "
    "cent of "
    "the test split. Defaults are those of Barlow Twins' authors for 1 % of ImageNet's labels; they "
    "published none for other shares, which take the same.",
    .examples = "blockwise finetune runs/mine --data labelled/ --label-fraction 0.1",
    .options = { CLI_SPLIT_DATA, CLI_TRAIN, CLI_TEST, CLI_LABEL_FRACTION, CLI_LABEL_LIST, CLI_WRITE_LIST,
                 CLI_ONE_FEATURE, CLI_FINETUNE_EPOCHS, CLI_BATCH, CLI_LR_TRUNK, CLI_LR_CLASSIFIER,
                 CLI_WEIGHT_DECAY, CLI_TEST_IMAGES, CLI_SEED, CLI_THREADS, CLI_DATA_FORMAT, CLI_JSON,
                 CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_finetune
};
