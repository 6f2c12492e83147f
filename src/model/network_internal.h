/* Inside of bw_network, for the folders that save, load, train and run it. */
#ifndef BW_MODEL_NETWORK_INTERNAL_H
#define BW_MODEL_NETWORK_INTERNAL_H
#include "blockwise/network.h"
#include "model/params.h"

struct bw_network {
    bw_config config; /* resolved */
    int blocks;
    bool has_heads;
    bw_params params[BW_MAX_BLOCKS];
};
#endif
