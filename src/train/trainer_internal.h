/* What checkpoints need of a trainer. Everything else that defines the state of a run is in the network
 * (values, momenta, running statistics) and in the config (seed): random numbers have no state. */
#ifndef BW_TRAIN_TRAINER_INTERNAL_H
#define BW_TRAIN_TRAINER_INTERNAL_H
#include "blockwise/trainer.h"

/* Continue as if `steps` steps had been done. */
void bw__trainer_set_steps_done(bw_trainer *trainer, int64_t steps);
#endif
