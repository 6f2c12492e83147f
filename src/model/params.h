/* Parameters of one block: one aligned array of values, tensors are views into it. Trained tensors come
 * first, buffers (running statistics) after them, so that gradient, momentum, update, checkpoint and
 * all-reduce are single loops. Weights are kept as files have them: OIHW, [out, in]. */
#ifndef BW_MODEL_PARAMS_H
#define BW_MODEL_PARAMS_H
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum bw_part { BW_PART_TRUNK, BW_PART_HEAD, BW_PART_PROJECTOR } bw_part;
typedef enum bw_param_kind {
    BW_PARAM_CONV,         /* [O, I, H, W]     */
    BW_PARAM_LINEAR,       /* [O, I]           */
    BW_PARAM_BIAS,         /* [O], of the linear layer listed before it */
    BW_PARAM_BN_WEIGHT,    /* [C]              */
    BW_PARAM_BN_BIAS,      /* [C]              */
    BW_PARAM_RUNNING_MEAN, /* [C], a buffer    */
    BW_PARAM_RUNNING_VAR   /* [C], a buffer    */
} bw_param_kind;

typedef struct bw_param {
    char name[96]; /* trunk: torchvision's; head and projector: "blocks.K.head.conv.weight", K from 1 */
    bw_part part;
    bw_param_kind kind;
    int ndim;
    int64_t dim[4];
    int64_t count, offset; /* floats, of bw_params.values */
    bool zero_init;        /* batch norm weight that starts at 0 */
} bw_param;

typedef struct bw_params {
    int n;
    bw_param *items;
    int64_t trained;         /* floats at the front that have gradient and momentum */
    int64_t total;           /* floats in all, buffers included */
    float *values;           /* [total] */
    float *momenta;          /* [trained], or NULL where the block does not learn */
    float *squares;          /* [trained], of an optimiser that has them (adamw); NULL with others */
    int64_t batches_tracked; /* torchvision's num_batches_tracked, the same for every batch norm */
} bw_params;

static inline bool bw__param_is_trained(const bw_param *p)
{
    return p->kind != BW_PARAM_RUNNING_MEAN && p->kind != BW_PARAM_RUNNING_VAR;
}

/* The one called `name`, or NULL. */
const bw_param *bw__params_find(const bw_params *params, const char *name);
#endif
