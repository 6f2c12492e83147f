/* What a step does with one block of a trainer.
 *
 * A batch goes through the network whole, or in train.split parts: forward of every part, where only the
 * embeddings are kept; each block's loss once for the whole batch; forward and backward of every part, with
 * the gradients of parameters added up; update (gradient caching, Gao et al. 2021, arXiv 2101.06983, sec. 3).
 * The gradient is exact for the embeddings there are: batch norm and noise of kind `all` take their
 * statistics over a part. */
#ifndef BW_TRAIN_LEARN_H
#define BW_TRAIN_LEARN_H
#include "train/trainer_internal.h"

/* Forward of block k on the side its input lies on; the output goes to the other side. */
BW_MUST_CHECK
bw_status bw__learn_forward(bw_trainer *t, int k, const void *in, bw_side side);
/* Forward of block k that does not learn in this phase: evaluation mode, without noise. Nothing of it changes
 * and nothing is saved. */
BW_MUST_CHECK
bw_status bw__learn_pass(bw_trainer *t, int k, const void *in, bw_side side);

/* What follows the forward pass of a block that learns. */
typedef bw_status (*bw_learn_fn)(bw_trainer *t, bw_step *out, int k);
/* The whole batch: loss and backward; its update follows with bw__learn_finish(). */
BW_MUST_CHECK
bw_status bw__learn_block(bw_trainer *t, bw_step *out, int k);
/* The update of the block whose gradients are being summed over ranks, if there is one, as soon as they are.
 */
BW_MUST_CHECK
bw_status bw__learn_finish(bw_trainer *t, bw_step *out);
/* A part, first pass: its embeddings are kept. */
BW_MUST_CHECK
bw_status bw__learn_keep(bw_trainer *t, bw_step *out, int k);
/* A part, second pass: backward from its rows of the loss's gradient; gradients are added up. */
BW_MUST_CHECK
bw_status bw__learn_add(bw_trainer *t, bw_step *out, int k);

/* Room for the embeddings of the whole batch, at the low end of the arena. */
void bw__learn_prepare(bw_trainer *t);
/* Between the passes: loss of block k. Its gradient takes the place of the embeddings. */
BW_MUST_CHECK
bw_status bw__learn_loss(bw_trainer *t, bw_step *out, int k);
/* Behind both: update of block k with the sum over parts. */
BW_MUST_CHECK
bw_status bw__learn_update(bw_trainer *t, bw_step *out, int k);

/* The learning rate of block k in the running step. */
double bw__learn_rate(const bw_trainer *t, int k);
/* The noise source of a block (bw_eps_fn); user: its bw_trained_block. */
void bw__learn_draw_eps(const void *user, float *eps, int64_t n, int64_t count);
/* What block k has taken of the arena since its lap began, if more than ever. */
void bw__learn_note_lap(bw_trainer *t, int k);
#endif
