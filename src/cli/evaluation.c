#include "cli/evaluation.h"
#include "base/machine.h"
#include "base/error.h"
#include <sys/stat.h>

bw_status cli_open_splits(bw_dataset **train, bw_dataset **test, const cli_options *o)
{
    bw_status st = BW_OK;
    const char *train_path = o->train ? o->train : o->data;
    *train = *test = NULL;
    if (!train_path) cli_usage_error("needs --data PATH, or --train PATH and --test PATH");
    if (!o->test && !o->data) cli_usage_error("needs --test PATH beside --train PATH");
    BW_TRY(bw_dataset_open(train, train_path, BW_SPLIT_TRAIN, o->format));
    if (o->test)
        BW_TRY(bw_dataset_open(test, o->test, BW_SPLIT_ANY, o->format));
    else
        BW_TRY(bw_dataset_open(test, o->data, BW_SPLIT_TEST, o->format));
out:
    if (st != BW_OK) {
        bw_dataset_free(*train);
        *train = NULL;
    }
    return st;
}

bw_status cli_check_block(const bw_network *network, int block)
{
    int blocks = bw_network_blocks(network);
    if (block < blocks) return BW_OK;
    return bw_fail(BW_EINVAL, "--block %d: the model has blocks 1 to %d", block + 1, blocks);
}

void cli_choose_features(bool *head, bool *trunk, const cli_options *options, const bw_network *network)
{
    cli_feature wish = options->feature;
    if (wish == CLI_FEATURE_DEFAULT)
        wish = network && !bw_network_has_heads(network) ? CLI_FEATURE_TRUNK : CLI_FEATURE_HEAD;
    *head = wish != CLI_FEATURE_TRUNK;
    *trunk = wish != CLI_FEATURE_HEAD;
}

int cli_threads(const cli_options *options)
{
    return options->threads > 0 ? options->threads : bw__usable_cores();
}

bool cli_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}
