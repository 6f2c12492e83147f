/* What every layer needs to run: where, with which parameters, and whether statistics are taken. */
#ifndef BW_MODEL_LAYER_H
#define BW_MODEL_LAYER_H
#include "model/resnet.h"
#include "nn/batch_norm.h"
#include "nn/exec.h"

typedef struct bw_run {
    bw_exec *x;
    const bw_params *params;
    float *grads;   /* [params->trained], same offsets as values; NULL without backward */
    bool training;  /* batch statistics and saved activations, against running statistics and none */
    bool recompute; /* in training: units save nothing, and are run again */
    bool look;      /* in training: running statistics stay as they are */
    /* NULL, or called in the backward pass of a block where all its gradients but the trunk's are there. */
    bw_status (*on_head)(void *user);
    void *user;
    bool again; /* a forward pass that repeats one of this step: the coefficients of batch norm are known */
} bw_run;

static inline float *bw__run_value(const bw_run *run, int item)
{
    return run->params->values + run->params->items[item].offset;
}
static inline float *bw__run_grad(const bw_run *run, int item)
{
    return run->grads + run->params->items[item].offset;
}
static inline bw_bn_params bw__run_bn(const bw_run *run, int item)
{
    return (bw_bn_params){ .weight = bw__run_value(run, item),
                           .bias = bw__run_value(run, item + 1),
                           .running_mean = run->look ? NULL : bw__run_value(run, item + 2),
                           .running_var = run->look ? NULL : bw__run_value(run, item + 3) };
}

/* Coefficients of the batch norm behind a layer, from y in training or from the running statistics. */
static inline void bw__run_bn_prepare(const bw_run *run, bw_bn *bn, const void *y, int item)
{
    if (run->again) return;
    bw_bn_params p = bw__run_bn(run, item);
    if (run->training)
        bw__bn_statistics(bn, run->x, y, &p);
    else
        bw__bn_use_running(bn, run->x, &p);
}
static inline void bw__run_bn_backward(const bw_run *run, const bw_bn *bn, void *diff_y, const void *diff_dst,
                                       const void *y, int item, bool relu)
{
    bw_bn_params p = bw__run_bn(run, item);
    bw__bn_backward(bn, run->x, diff_y, bw__run_grad(run, item), bw__run_grad(run, item + 1), diff_dst, y, &p,
                    relu);
}
#endif
