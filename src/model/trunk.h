/* The trunk of one block: the stem where the block is the first, and its residual units.
 *
 * Saved, from the bottom of the run's side: the stem's output; then each unit's output with what the unit
 * saves above it. Nothing inside of the stem is saved: its tensors are the largest of all, and computing them
 * again costs little.
 *
 * With run->recompute, of the units' outputs alone the last one and every second one before it are saved. The
 * backward pass runs the unit between two of them, or the stem and the first unit, forward again when it
 * comes there. */
#ifndef BW_MODEL_TRUNK_H
#define BW_MODEL_TRUNK_H
#include "model/unit.h"

typedef struct bw_trunk {
    const bw_block_spec *spec; /* borrowed */
    int views;
    int64_t n, in_h, in_w, out_h, out_w; /* n: images of all views */
    int64_t stem_h, stem_w;              /* of the stem convolution's output */
    bw_conv *stem;
    bw_bn stem_bn;
    bw_unit unit[BW_MAX_UNITS];
    int64_t max_count; /* elements of the largest tensor between two units, and so of its gradient */
    /* Of the running step, in the arena: */
    void *stem_out, *unit_out[BW_MAX_UNITS];
    size_t mark, unit_mark[BW_MAX_UNITS]; /* of the arena before the trunk, each unit took anything */
} bw_trunk;

BW_MUST_CHECK
bw_status bw__trunk_create(bw_trunk *trunk, bw_exec *x, const bw_block_spec *spec, int views, int64_t n,
                           int64_t h, int64_t w, bool training);
void bw__trunk_destroy(bw_trunk *trunk);
int64_t bw__trunk_flops(const bw_trunk *trunk, bool backward);
/* Those done again in the backward pass with recompute; not in bw__trunk_flops(). */
int64_t bw__trunk_repeated_flops(const bw_trunk *trunk);

/* out [n, out_h, out_w, out_c], in [n, in_h, in_w, in_c]. In training, saved tensors stay taken; `out` NULL
 * takes the output among them, see unit_out. */
BW_MUST_CHECK
bw_status bw__trunk_forward(bw_trunk *trunk, const bw_run *run, void *out, const void *in);
/* diff: gradient of out, room for max_count elements; its content is lost. Gradients of parameters go to run.
 * Nothing but the saved tensors may have been taken since the forward pass: they are released unit by unit.
 */
BW_MUST_CHECK
bw_status bw__trunk_backward(bw_trunk *trunk, const bw_run *run, void *diff, const void *in);
#endif
