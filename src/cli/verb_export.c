/* `blockwise export`: the network as a file other programs load. */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/evaluation.h"
#include <string.h>

static bw_status write_onnx(const bw_network *network, const cli_options *o)
{
    int block = o->block < 0 ? bw_network_blocks(network) - 1 : o->block;
    bw_feature feature = o->feature == CLI_FEATURE_HEAD ? BW_FEATURE_HEAD : BW_FEATURE_TRUNK;
    return bw_network_export_onnx(network, o->out, block, feature);
}

static int run_export(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    bool onnx = o->format && strcmp(o->format, "onnx") == 0;
    if (!o->out) cli_usage_error("needs --out FILE, the file to write");
    if (o->format && !onnx && strcmp(o->format, "safetensors") != 0)
        cli_usage_error("--format %s: unknown; use --format safetensors or --format onnx", o->format);
    if (!onnx && (o->block >= 0 || o->feature != CLI_FEATURE_DEFAULT))
        cli_usage_error(
            "--block and --feature belong to --format onnx; a safetensors file has the whole trunk");
    BW_TRY(bw_network_load(&network, o->arguments[0]));
    BW_TRY(onnx ? write_onnx(network, o) : bw_network_save(network, o->out, NULL));
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
    ". safetensors: the weights of the trunk, names and "
    "shapes "
    "those of torchvision. onnx: a model from normalised images [batch, 3, height, width] to features "
    "[batch, D], opset 13; its metadata has mean, standard deviation and size of the images.",
    .examples = "blockwise export runs/mine --out trunk.safetensors\n"
                "blockwise export runs/mine --format onnx --block 4 --out net.onnx",
    .options = { CLI_EXPORT_FORMAT, CLI_EXPORT_OUT, CLI_ONE_BLOCK, CLI_EXPORT_FEATURE, CLI_END },
    .run = run_export
};
