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
    bool no_projectors; /* heads came without: those in `params` are of a width that nobody uses */
    bool outline;       /* names and shapes alone: values are addresses that nobody may touch */
    bool borrows;       /* values are another network's */
    int64_t steps;      /* optimiser steps these weights have seen in their run; written to files */
    bw_block_spec spec[BW_MAX_BLOCKS];
    bw_params params[BW_MAX_BLOCKS];
};

/* The network of a resolved config, as training has it, with every value zero: nothing is drawn. Momenta are
 * not allocated. */
BW_MUST_CHECK
bw_status bw__network_build(bw_network **out, const bw_config *config, bool with_heads);
/* bw_network_create() with blocks first .. end - 1 alone: others have names and shapes, and no values. */
BW_MUST_CHECK
bw_status bw__network_create_share(bw_network **out, const bw_config *config, int first, int end);
/* Names and shapes of the network as evaluation has it: end to end, too, it has the blocks of model.cuts.
 * bw__network_allocate() gives it values. */
BW_MUST_CHECK
bw_status bw__network_list_for_evaluation(bw_network **out, const bw_config *config, bool with_heads);
/* Values of a network that has none, all zero. */
BW_MUST_CHECK
bw_status bw__network_allocate(bw_network *network);
/* A network that is being trained, with the blocks of model.cuts. Its values are those of `trained`, which is
 * borrowed: an extractor of the view sees every step. Not for training or loading. */
BW_MUST_CHECK
bw_status bw__network_view(bw_network **out, const bw_network *trained);
/* As bw__network_build() with heads, but without memory for values: for a trainer that only counts. */
BW_MUST_CHECK
bw_status bw__network_outline(bw_network **out, const bw_config *config);
/* bw_extractor_create() with so many compute threads in place of the config's. */
BW_MUST_CHECK
bw_status bw__extractor_create_on(bw_extractor **out, const bw_network *network, int64_t batch,
                                  int64_t image_size, int threads);
/* Bytes of activations of an extractor; `network` may be an outline. */
BW_MUST_CHECK
bw_status bw__extractor_bytes(int64_t *out, const bw_network *network, int64_t batch, int64_t image_size);
#endif
