#include "base/machine.h"
#include "base/error.h"
#include "eval/features.h"

bw_status bw_embed(float **out_features, int64_t **out_index, int64_t *out_rows, const bw_network *network,
                   const bw_dataset *dataset, int block, bw_feature feature, int threads,
                   bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    bw_feature_set set = { 0 };
    bw_target_list targets;
    bw_progress p = { .fn = progress, .user = user, .what = "features" };

    *out_features = NULL;
    *out_index = NULL;
    *out_rows = 0;
    if (block < 0) block = bw_network_blocks(network); /* "all" is refused like a block that is not there */
    if (threads < 1) threads = bw__usable_cores();
    BW_TRY(bw__targets(&targets, network, block, feature == BW_FEATURE_HEAD, feature == BW_FEATURE_TRUNK,
                       false));
    bw_image_pass pass = bw__image_pass_of(bw_network_config(network), 0, 0, threads);
    BW_TRY(bw__feature_set_fill(&set, network, dataset, &targets, &pass, false, &p));
    *out_features = set.arrays.x[feature][block];
    *out_index = set.index;
    *out_rows = set.n;
    set.arrays.x[feature][block] = NULL; /* handed over */
    set.index = NULL;
out:
    bw__feature_set_clear(&set);
    return st;
}
