/* Checkpoints of a run: CHECKPOINTS/step-00001234.safetensors, everything that has state. Written aside,
 * fsynced and renamed, with a checksum over all of it; the last few are kept. */
#ifndef BW_TRAIN_CHECKPOINT_H
#define BW_TRAIN_CHECKPOINT_H
#include "train/online_probe.h"

/* Writes values, momenta, squares and counters of every block, and the online probe unless NULL, as the state
 * after `step` steps, then removes the older checkpoints but the newest `keep` (this one included, at least
 * 1). images: of the data set in use; a run can only go on with as many. BW_EIO: nothing is under the new
 * name and no older checkpoint was removed. */
BW_MUST_CHECK
bw_status bw__checkpoint_write(const char *folder, const bw_network *network, const bw_online_probe *probe,
                               int64_t step, int64_t images, int keep);

/* A whole checkpoint, opened and verified. */
typedef struct bw_checkpoint bw_checkpoint;

/* The newest whole one in `folder`; a damaged one is named in the log and the one before is tried.
 * *out is NULL with BW_OK where there is none at all. BW_EDATA: there are some, and none is whole. */
BW_MUST_CHECK
bw_status bw__checkpoint_open_newest(bw_checkpoint **out, const char *folder);
/* Steps of the checkpoints in `folder`, whole or not, newest first; *out_n is 0 where there is no such
 * folder. The caller releases *out with bw__free(). BW_EIO, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__checkpoint_list(int64_t **out, int64_t *out_n, const char *folder);
/* That of one step. BW_EDATA: damaged; BW_EIO. */
BW_MUST_CHECK
bw_status bw__checkpoint_open(bw_checkpoint **out, const char *folder, int64_t step);
void bw__checkpoint_close(bw_checkpoint *checkpoint);

int64_t bw__checkpoint_step(const bw_checkpoint *checkpoint);
int64_t bw__checkpoint_images(const bw_checkpoint *checkpoint);
/* Its file; borrowed. */
const char *bw__checkpoint_path(const bw_checkpoint *checkpoint);

/* Copies the state into `network` and, unless NULL, `probe`. The network's momenta and squares are there
 * where blocks need them. BW_ESHAPE: another network wrote it; the network is unchanged then. */
BW_MUST_CHECK
bw_status bw__checkpoint_restore(bw_network *network, bw_online_probe *probe,
                                 const bw_checkpoint *checkpoint);

/* Copies weights and running statistics alone, for looking at a run: into a network of the run's config that
 * has neither momenta nor squares. As bw__checkpoint_restore(). */
BW_MUST_CHECK
bw_status bw__checkpoint_weights(bw_network *network, const bw_checkpoint *checkpoint);
#endif
