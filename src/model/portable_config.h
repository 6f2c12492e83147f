/* The config as files of weights and checkpoints carry it. */
#ifndef BW_MODEL_PORTABLE_CONFIG_H
#define BW_MODEL_PORTABLE_CONFIG_H
#include "blockwise/config.h"

/* The config as YAML without what belongs to one machine or to keeping files: threads, data.threads,
 * parallel.*, checkpoint.* and events.* stand at their defaults. Same run, same text. The caller frees
 * *out with bw__free(). */
BW_MUST_CHECK
bw_status bw__config_portable_yaml(char **out, const bw_config *config);
#endif
