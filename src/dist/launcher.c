#include "blockwise/comm.h"
#include <stddef.h>
#include <stdlib.h>

/* Numbers of ranks that launchers put into the environment of what they start. SLURM_STEP_NUM_TASKS is there
 * in a batch script too, which is not a rank: only a task that srun started has a rank of PMI or PMIx. */
static const char *const SIZES[] = { "OMPI_COMM_WORLD_SIZE", /* mpirun of Open MPI */
                                     "PMI_SIZE",             /* Hydra (MPICH), srun --mpi=pmi2 */
                                     "SLURM_STEP_NUM_TASKS" };
static const char *const SLURM_RANKS[] = { "PMIX_RANK", "PMI_RANK", NULL };

static int positive(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    long n = text ? strtol(text, &end, 10) : 0;
    return text && *text && *end == '\0' && n > 0 && n < 1L << 24 ? (int)n : 0;
}

int bw_launched_ranks(void)
{
    int n = positive(SIZES[0]);
    if (n == 0) n = positive(SIZES[1]);
    for (int i = 0; n == 0 && SLURM_RANKS[i]; i++)
        if (getenv(SLURM_RANKS[i])) n = positive(SIZES[2]);
    return n > 0 ? n : 1;
}
