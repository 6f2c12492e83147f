/* ResNet-18/34/50/101 (He et al. 2016, the torchvision arrangement: stride on the 3x3 of a bottleneck) cut
 * into blocks, each with its head and projector: which layers there are and where their parameters lie. */
#ifndef BW_MODEL_RESNET_H
#define BW_MODEL_RESNET_H
#include "blockwise/config.h"
#include "formats/architecture.h"
#include "model/params.h"

#define BW_NO_BN (-1)
/* Linear layers behind a head: the projector's, or its hidden layers and the classifier. */
#define BW_MAX_LINEAR (BW_MAX_PROJECTOR + 1)

/* A convolution or linear layer and the batch norm behind it; numbers are indices of bw_params.items. */
typedef struct bw_layer_spec {
    int64_t ic, oc;
    int kernel, stride, pad; /* 1, 1, 0 for a linear layer */
    int weight;
    bool has_bias; /* the item behind weight */
    int bn;        /* item of the batch norm's weight; bias, running mean and variance follow it.
                      BW_NO_BN: none */
} bw_layer_spec;

typedef struct bw_unit_spec {
    int stage;   /* 0..3: layer1..layer4 */
    int n_convs; /* 2: basic, 3: bottleneck */
    bw_layer_spec conv[3];
    bool has_downsample;
    bw_layer_spec downsample;
} bw_unit_spec;

typedef struct bw_block_spec {
    int settings; /* whose settings it has: k of bw_config_block() */
    bool has_stem;
    bool max_pool;
    bw_layer_spec stem;
    int n_units;
    bw_unit_spec unit[BW_MAX_UNITS];
    int64_t in_c, out_c;
    bw_pool pool;
    bw_layer_spec expand;            /* of head.pool cbe */
    int64_t grid_rows, grid_columns; /* of head.pool lsp */
    int64_t head_dim;                /* width of the head's pooled output */
    int n_linear;
    bw_layer_spec linear[BW_MAX_LINEAR];
} bw_block_spec;

/* Describes block `k` of training and lists its parameters, in torchvision's order of the state dict. Neither
 * values nor momenta are allocated. Head and projector have the number of the last block of model.cuts that
 * is in it: "blocks.4.head..." end to end with cuts stages. */
BW_MUST_CHECK
bw_status bw__resnet_block(bw_block_spec *spec, bw_params *params, const bw_config *config, int k,
                           bool with_head);
/* The same of block `k` of model.cuts, as evaluation sees it. They differ end to end: the last block has the
 * head that was trained, those before it have none and are pooled by gsp. */
BW_MUST_CHECK
bw_status bw__resnet_evaluation_block(bw_block_spec *spec, bw_params *params, const bw_config *config, int k,
                                      bool with_head);
void bw__params_destroy(bw_params *params);
#endif
