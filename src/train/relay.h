/* What goes from one row of the grid to the next: the output of a row's last block, part by part of
 * train.split and pass by pass, with the labels of its images. It is put on its way right behind that block's
 * forward pass, before the row's own backward pass, and goes on beside it. Nothing comes back. */
#ifndef BW_TRAIN_RELAY_H
#define BW_TRAIN_RELAY_H
#include "train/trainer_internal.h"

/* Messages that wait at either end of a channel. */
enum { BW_RELAY_DEPTH = 2 };

/* Between this rank and those at its place in the rows before and behind. *out is NULL where there is one row
 * only, or a grid without communicators. */
BW_MUST_CHECK
bw_status bw__relay_create(bw_relay **out, const bw_trainer *trainer);
/* why: of the step that failed, or BW_OK. */
void bw__relay_free(bw_relay *relay, bw_status why);

/* Bytes of the queues of one rank of a row. */
int64_t bw__relay_bytes(const bw_trainer *trainer);

/* Input of the first own block in the running part, until bw__relay_release(); t->labels become those that
 * came with it. */
BW_MUST_CHECK
bw_status bw__relay_receive(bw_trainer *t, const void **in);
void bw__relay_release(bw_trainer *t);
/* The output of the last own block; it is copied. */
BW_MUST_CHECK
bw_status bw__relay_pass_on(bw_trainer *t, const void *out);
#endif
