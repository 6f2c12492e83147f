/* What the rows of a grid have to say of a step, brought together on rank 0, which writes it. Rows work on
 * different steps at a time, so each sends its part when it has it, and rank 0 goes on: it puts a step
 * together some steps later, when all parts have long come. With one row nothing waits. */
#ifndef BW_TRAIN_STEP_RECORDS_H
#define BW_TRAIN_STEP_RECORDS_H
#include "blockwise/trainer.h"
#include "model/network_internal.h"
#include "train/grid.h"

typedef struct bw_step_records bw_step_records;

/* Of rank 0 and of the first rank of every other row; *out is NULL on others. grid and network are borrowed.
 */
BW_MUST_CHECK
bw_status bw__step_records_open(bw_step_records **out, const bw_grid *grid, const bw_network *network);
/* why: of the run, BW_OK or what ended it. NULL is fine. */
void bw__step_records_free(bw_step_records *records, bw_status why);

/* This row's part of a step, with what its ranks were asked to do (a bw_request, the most of it) and the most
 * memory of one; waits only where rank 0 is far behind. Nothing with NULL. BW_EREMOTE. */
BW_MUST_CHECK
bw_status bw__step_records_put(bw_step_records *records, const bw_step *step, bw_request request);

/* On rank 0: the oldest step that is not yet taken, whole. *there is false where it may still wait, and with
 * `all` only where there is none. *request: what other rows were asked. BW_EREMOTE. */
BW_MUST_CHECK
bw_status bw__step_records_take(bw_step_records *records, bw_step *out, bool *there, bw_request *request,
                                bool all);
#endif
