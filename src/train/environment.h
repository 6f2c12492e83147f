/* environment.json: where and with what a run was computed. */
#ifndef BW_TRAIN_ENVIRONMENT_H
#define BW_TRAIN_ENVIRONMENT_H
#include "blockwise/config.h"
#include "train/grid.h"

/* The machine of a rank, and what the rank takes of it. */
typedef struct bw_host {
    char name[64], cpu[128], isa[32];
    int threads, loader_threads, cores;
} bw_host;

/* Those of all ranks, in their order; *out [size] is released with bw__free(). Collective over `comm`, and
 * agreed on; NULL: alone. */
BW_MUST_CHECK
bw_status bw__environment_hosts(bw_host **out, bw_comm *comm, const bw_config *config);

typedef struct bw_environment {
    const char *command; /* or NULL */
    const char *data;    /* where the images are, or NULL: a program gave them */
    const char *data_format;
    int64_t images;
    int64_t first_step; /* steps done before this process */
    const bw_grid *grid;
    const bw_host *host; /* [ranks] */
} bw_environment;

/* JSON text with versions, machine and what is given; *out is released with bw__free(). */
BW_MUST_CHECK
bw_status bw__environment_json(char **out, const bw_environment *environment);

/* One line in the log: processor, instruction set, cores in use, type and threads of a resolved config; and a
 * warning of whatever makes the computation slower than this machine could. */
void bw__environment_say(const bw_config *config);
/* And one of the ranks, where there are several, with a warning where processors differ. */
void bw__environment_say_ranks(const bw_grid *grid, const bw_host *host);
#endif
