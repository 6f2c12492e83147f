/* `blockwise export`: the trunk as a file other programs load. */
#include "base/error.h"
#include "cli/cli.h"
#include <string.h>

static int run_export(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    if (!o->out) cli_usage_error("needs --out FILE, the file to write");
    if (o->format && strcmp(o->format, "onnx") == 0)
        cli_usage_error(
            "--format onnx: not supported by this version; use --format safetensors, which PyTorch "
            "loads");
    if (o->format && strcmp(o->format, "safetensors") != 0)
        cli_usage_error("--format %s: unknown; use --format safetensors", o->format);
    BW_TRY(bw_network_load(&network, o->arguments[0]));
    BW_TRY(bw_network_save(network, o->out, NULL));
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
    .summary = "Write the weights of the trunk for other programs",
    .notes = "MODEL is a run folder or a .safetensors file. Names and shapes are those of "
             "torchvision.",
    .options = { CLI_EXPORT_FORMAT, CLI_EXPORT_OUT, CLI_END },
    .run = run_export
};
