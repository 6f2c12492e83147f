/* Inside of bw_network, for the folders that save, load, train and run it. */
#ifndef BW_MODEL_NETWORK_INTERNAL_H
#define BW_MODEL_NETWORK_INTERNAL_H
#include "blockwise/network.h"
#include "model/params.h"
#include "model/resnet.h"

struct bw_network {
    bw_config config; /* resolved */
    int blocks;
    bool has_heads;
    bool outline;  /* names and shapes alone: values are addresses that nobody may touch */
    int64_t steps; /* optimiser steps these weights have seen in their run; written to files */
    bw_block_spec spec[BW_MAX_BLOCKS];
    bw_params params[BW_MAX_BLOCKS];
};

/* The network of a resolved config with every value zero: nothing is drawn, for loading. Momenta are not
 * allocated. */
BW_MUST_CHECK
bw_status bw__network_build(bw_network **out, const bw_config *config, bool with_heads);
/* The same with heads but without memory for values, for a trainer that only counts. */
BW_MUST_CHECK
bw_status bw__network_outline(bw_network **out, const bw_config *config);
#endif
