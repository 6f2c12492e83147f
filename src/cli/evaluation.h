/* What the evaluating verbs share: the two splits, the choice of blocks and features. */
#ifndef BW_CLI_EVALUATION_H
#define BW_CLI_EVALUATION_H
#include "cli/cli.h"

/* Begins the notes of verbs that take a MODEL. */
#define CLI_MODEL "MODEL is a run folder, a .safetensors file or one of torch.save() (.pth)"

/* The training and test images that --data, --train and --test name. The caller frees both. */
BW_MUST_CHECK
bw_status cli_open_splits(bw_dataset **train, bw_dataset **test, const cli_options *options);

/* BW_EINVAL unless `block` (from 0, -1: all) is one of the network's. */
BW_MUST_CHECK
bw_status cli_check_block(const bw_network *network, int block);

/* Which features were asked for; without a wish head, or trunk where the network has no heads. */
void cli_choose_features(bool *head, bool *trunk, const cli_options *options, const bw_network *network);

/* --threads, or all usable cores. */
int cli_threads(const cli_options *options);

bool cli_is_folder(const char *path);
#endif
