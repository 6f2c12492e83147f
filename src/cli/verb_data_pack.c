/* `blockwise data pack`: any images as shards. */
#include "cli/progress.h"
#include "cli/results.h"
#include <string.h>

static bw_status print_result(const bw_pack_result *r, const cli_options *o)
{
    if (!o->json) {
        printf("%s: %lld shards, %lld images, %lld with labels of %d classes, %.1f MB\n", o->out,
               (long long)r->shards, (long long)r->images, (long long)r->labelled, r->classes,
               (double)r->bytes / 1e6);
        return BW_OK;
    }
    json_t *object = json_object();
    (void)json_object_set_new(object, "out", bw__json_text(o->out));
    (void)json_object_set_new(object, "shards", json_integer(r->shards));
    (void)json_object_set_new(object, "images", json_integer(r->images));
    (void)json_object_set_new(object, "labelled", json_integer(r->labelled));
    (void)json_object_set_new(object, "classes", json_integer(r->classes));
    (void)json_object_set_new(object, "bytes", json_integer(r->bytes));
    (void)json_object_set_new(object, "renamed", json_integer(r->renamed));
    return cli_print_json(object);
}

static int run_data_pack(const cli_options *o)
{
    enum { SIZE_MB = 256 };
    bw_status st = BW_OK;
    bw_dataset *dataset = NULL;
    bw_pack_result result;
    const bw_split split = o->split == BW_SPLIT_TEST ? BW_SPLIT_TEST : BW_SPLIT_TRAIN;
    if (!o->out) cli_usage_error("needs --out NAME, the shards to write, as shard-%%06d.tar");
    if (!strchr(o->out, '%') && (o->shard_mb || o->images))
        cli_usage_error(
            "--out %s: one shard, which --size and --images cannot limit; write %%d where its number "
            "is to be",
            o->out);
    const bw_pack_options options = { .out = o->out,
                                      .shard_images = o->images,
                                      .shard_bytes = o->shard_mb ? o->shard_mb * 1000000
                                                     : o->images ? 0
                                                                 : (int64_t)SIZE_MB * 1000000 };
    BW_TRY(bw_dataset_open(&dataset, o->arguments[0], split, o->format));
    BW_TRY(bw_dataset_pack(&result, dataset, &options, cli_progress_callback, NULL));
    cli_progress_end();
    if (result.renamed)
        cli_note("%lld images have other names, as WebDataset's rules ask: see docs/data.md",
                 (long long)result.renamed);
    st = print_result(&result, o);
out:
    bw_dataset_free(dataset);
    return cli_finish(st);
}

const cli_verb cli_data_pack = {
    .name = "data pack",
    .arguments = "PATH",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Write images as .tar shards that can be read in place",
    .notes =
        "Encoded images are copied byte for byte, raw pixels become PNG. Labels go into .cls entries, the "
        "names "
        "of classes into classes.txt beside the shards. Nothing is overwritten, and whatever fails, no shard "
        "is left.",
    .examples = "blockwise data pack photos/ --out shards/photos-%06d.tar",
    .options = { CLI_SHARDS_OUT, CLI_SHARD_SIZE, CLI_SHARD_IMAGES, CLI_PACK_SPLIT, CLI_DATA_FORMAT, CLI_JSON,
                 CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_data_pack
};
