/* environment.json: where and with what a run was computed. */
#ifndef BW_TRAIN_ENVIRONMENT_H
#define BW_TRAIN_ENVIRONMENT_H
#include "blockwise/config.h"

typedef struct bw_environment {
    const char *command; /* or NULL */
    const char *data;    /* where the images are */
    const char *data_format;
    int64_t images;
    int64_t first_step; /* steps done before this process */
    int threads, loader_threads;
} bw_environment;

/* JSON text with versions, machine and what is given; *out is released with bw__free(). */
BW_MUST_CHECK
bw_status bw__environment_json(char **out, const bw_environment *environment);

/* One line in the log: processor, instruction set, cores in use, type and threads of a resolved config; and a
 * warning of whatever makes the computation slower than this machine could. */
void bw__environment_say(const bw_config *config);
#endif
