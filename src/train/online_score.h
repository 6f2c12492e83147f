/* How many test images the online probe gets right while the network is trained. */
#ifndef BW_TRAIN_ONLINE_SCORE_H
#define BW_TRAIN_ONLINE_SCORE_H
#include "dist/collective.h"
#include "train/online_probe.h"

/* The test split beside the training images `train` of `path`. NULL, and a line in the log that says why,
 * where there is none with labels or of these classes, or it is damaged (a warning). BW_EIO; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__online_test_open(bw_dataset **out, const bw_dataset *train, const char *path,
                               const char *format);

/* Whether a test split that a program gives fits to the training images. BW_EDATA: it has no labels, or other
 * classes. */
BW_MUST_CHECK
bw_status bw__online_test_check(const bw_dataset *test, const bw_dataset *train);

/* Bytes that a score takes while it is made; `network` may be an outline. */
BW_MUST_CHECK
bw_status bw__online_score_bytes(int64_t *out, const bw_network *network);

/* Per cent of the test images (of 10,000 of them, drawn by the seed, where there are more) that each block's
 * classifier gets right, the network in evaluation mode; NaN for blocks without a classifier that has learnt.
 * The batches are dealt to the ranks of `comm` (NULL: alone), which have the same network, and all get the
 * sum; collective. `stop` is asked on each after every batch. BW_EINTERRUPTED: one said so; top1 is undefined
 * then. BW_EDATA: too many images cannot be read; BW_ENONFINITE; BW_ENOMEM; BW_EKERNEL. */
BW_MUST_CHECK
bw_status bw__online_score(double *top1, const bw_online_probe *probe, const bw_network *network,
                           const bw_dataset *test, bw_comm *comm, bool (*stop)(void *user), void *user);
#endif
