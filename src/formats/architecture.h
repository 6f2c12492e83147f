/* What follows from model.arch and model.cuts alone: the residual units of a network, where they lie, and
 * which of them make a block. Units, blocks and stages count from 0 here, from 1 in settings and messages. */
#ifndef BW_FORMATS_ARCHITECTURE_H
#define BW_FORMATS_ARCHITECTURE_H
#include "blockwise/config.h"

#define BW_STAGES    4
#define BW_MAX_UNITS 33 /* of ResNet-101 */

/* He et al. 2016, table 1. */
typedef struct bw_architecture {
    int units[BW_STAGES]; /* residual units of layer1..layer4 */
    bool bottleneck;      /* three convolutions a unit, the last with four times the channels */
} bw_architecture;

/* The one of `arch`; NULL past the last. Borrowed. */
const bw_architecture *bw__architecture(bw_arch arch);
int bw__arch_units(bw_arch arch);
/* Stage of unit `unit`; `index` (or NULL): its number in the stage. */
int bw__arch_stage(bw_arch arch, int unit, int *index);
/* Channels of the output of stage `stage`. */
int64_t bw__stage_channels(const bw_model_config *model, int stage);

/* Units first..end - 1. */
typedef struct bw_unit_range {
    int first, end;
} bw_unit_range;

/* BW_EINVAL where model.cuts names a unit that has none behind it. */
BW_MUST_CHECK
bw_status bw__cuts_check(const bw_model_config *model);

/* The blocks model.cuts makes, whatever the order of training: those that evaluation sees. cuts stages: 4,
 * units: one for each unit, a list of n: n + 1. */
int bw__config_cut_blocks(const bw_config *config);
bw_unit_range bw__cut_block_units(const bw_model_config *model, int k);
/* The blocks that training sees: the same, or 1 with train.order end-to-end. */
int bw__config_blocks(const bw_config *config);
bw_unit_range bw__config_block_units(const bw_config *config, int k);

/* Channels and pixels of the output of unit `unit` for images of data.image_size (resolved). */
int64_t bw__unit_channels(const bw_config *config, int unit);
int64_t bw__unit_size(const bw_config *config, int unit);

/* The grid of head.pool lsp for `dim` values of `channels` channels: 2^j cells are 2^floor(j/2) rows of
 * 2^ceil(j/2) columns. False where dim / channels is no power of two. */
bool bw__lsp_grid(int64_t *rows, int64_t *columns, int64_t dim, int64_t channels);
/* Refuses heads that their block cannot have, with what would work. Resolved; BW_EINVAL. */
BW_MUST_CHECK
bw_status bw__heads_check(const bw_config *config);
#endif
