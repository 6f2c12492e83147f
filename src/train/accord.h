/* What ranks make sure to have in common before they train together. Every function is collective over
 * `comm`, does nothing alone (NULL too), and its failures are agreed on: one rank has the message. */
#ifndef BW_TRAIN_ACCORD_H
#define BW_TRAIN_ACCORD_H
#include "blockwise/config.h"
#include "blockwise/dataset.h"
#include "dist/collective.h"

/* Gives all ranks the config of rank 0. `threads` and `data.threads` that nobody gave are left open on the
 * others, for each has its own share of its machine. BW_EINVAL: a rank runs another version. */
BW_MUST_CHECK
bw_status bw__accord_config(bw_config *config, bw_comm *comm);

/* bw_compute_settle() with one answer: dtype auto is bf16 where every rank has arithmetic for it. Alone too.
 */
BW_MUST_CHECK
bw_status bw__accord_type(bw_config *config, bw_comm *comm);

/* All ranks have the same images under `path`, by their number, classes and some of their names. BW_EDATA. */
BW_MUST_CHECK
bw_status bw__accord_data(const bw_dataset *dataset, const char *path, bw_comm *comm);
#endif
