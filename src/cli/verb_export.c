/* `blockwise export`: the network as a file other programs load. */
#include "base/folder.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/evaluation.h"
#include "formats/atomic_file.h"
#include <string.h>

static bw_status write_onnx(const bw_network *network, const cli_options *o)
{
    int block = o->block < 0 ? bw_network_blocks(network) - 1 : o->block;
    bool head = o->feature == CLI_FEATURE_HEAD, trunk;
    if (o->probe) cli_choose_features(&head, &trunk, o, network);
    return bw_network_export_onnx(network, o->out, block, head ? BW_FEATURE_HEAD : BW_FEATURE_TRUNK,
                                  o->probe);
}

/* The trunk, and config.json beside it unless that is another's. */
static bw_status write_trunk(const bw_network *network, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *config = NULL;
    bw_status st = bw_network_save(network, path, NULL);
    if (st == BW_OK) st = bw__folder_beside(&config, path, "config.json");
    if (st == BW_OK) st = bw_network_save_config(network, config, slash ? slash + 1 : path);
    bw__free(config);
    return st;
}

static bool ends_in(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

/* The format is said by --format or by the name of the file, and not one way by this and another by that. */
static bool is_onnx(const cli_options *o)
{
    const char *format = o->format, *named = ends_in(o->out, ".onnx")          ? "onnx"
                                             : ends_in(o->out, ".safetensors") ? "safetensors"
                                                                               : NULL;
    if (!format && !named)
        cli_usage_error("--out %s: ends neither in .safetensors nor in .onnx; give --format too", o->out);
    if (!format) format = named;
    if (strcmp(format, "onnx") != 0 && strcmp(format, "safetensors") != 0)
        cli_usage_error("--format %s: unknown; use --format safetensors or --format onnx", format);
    if (named && strcmp(format, named) != 0)
        cli_usage_error("--format %s: --out %s is a name of %s files", format, o->out, named);
    return strcmp(format, "onnx") == 0;
}

static int run_export(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    if (!o->out) cli_usage_error("needs --out FILE, the file to write");
    const bool onnx = is_onnx(o);
    if (!onnx && (o->block >= 0 || o->feature != CLI_FEATURE_DEFAULT || o->probe))
        cli_usage_error(
            "--block, --feature and --probe belong to --format onnx; a safetensors file has the whole trunk");
    BW_TRY(bw__atomic_try(o->out));
    BW_TRY(bw_network_load(&network, o->arguments[0]));
    BW_TRY(onnx ? write_onnx(network, o) : write_trunk(network, o->out));
    printf("%s\n", o->out);
out:
    bw_network_free(network);
    return cli_finish(st);
}

const cli_verb cli_export = {
    .name = "export",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Write the network for other programs",
    .notes = CLI_MODEL
    ". safetensors: the weights of the trunk, names and shapes those of torchvision, and beside "
    "it config.json as timm has it; another config.json stays. onnx: a model from normalised images [batch, "
    "3, "
    "height, width] to \"features\" [batch, D], and with --probe \"logits\" [batch, classes], opset 13; its "
    "metadata has mean, standard deviation and size of the images, and the names of the classes.",
    .examples = "blockwise export runs/mine --out net/model.safetensors\n"
                "blockwise export runs/mine --block 4 --out net.onnx\n"
                "blockwise export runs/mine --probe p.safetensors --out c.onnx",
    .options = { CLI_EXPORT_FORMAT, CLI_EXPORT_OUT, CLI_ONE_BLOCK, CLI_EXPORT_FEATURE, CLI_PROBE, CLI_END },
    .run = run_export
};
