/* What launchers put into the environment of what they start; docs/clusters.md names those that were tried.
 */
#include "dist/launcher.h"
#include "blockwise/comm.h"
#include <stdint.h>
#include <stdlib.h>

static const struct {
    const char *size, *rank;
} LAUNCHERS[] = {
    { "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK" }, /* mpirun of Open MPI */
    { "PMI_SIZE", "PMI_RANK" },                         /* Hydra (MPICH), srun --mpi=pmi2 */
    { "SLURM_STEP_NUM_TASKS", "SLURM_PROCID" },         /* any srun */
};
enum { OPEN_MPI, PMI, SRUN, NOBODY };

/* -1 where there is no such number. */
static int64_t number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (!text || *text < '0' || *text > '9') return -1;
    long long n = strtoll(text, &end, 10);
    return *end == '\0' && n >= 0 ? n : -1;
}

/* Slurm numbers the steps that are no srun, as the batch script, from here on (slurm.h). */
static const int64_t SPECIAL_STEPS = 0xfffffff0;

static int launcher(void)
{
    enum { MOST = 1 << 24 };
    for (int i = 0; i < NOBODY; i++) {
        int64_t size = number(LAUNCHERS[i].size), rank = number(LAUNCHERS[i].rank);
        if (size < 1 || size > MOST || rank < 0 || rank >= size) continue;
        if (i == SRUN && (number("SLURM_STEP_ID") < 0 || number("SLURM_STEP_ID") >= SPECIAL_STEPS)) continue;
        return i;
    }
    return NOBODY;
}

int bw_launched_ranks(void)
{
    int i = launcher();
    return i == NOBODY ? 1 : (int)number(LAUNCHERS[i].size);
}

int bw_launched_rank(void)
{
    int i = launcher();
    return i == NOBODY ? 0 : (int)number(LAUNCHERS[i].rank);
}

const char *bw__launcher_name(void)
{
    switch (launcher()) {
    case OPEN_MPI:
        return "mpirun of Open MPI";
    case PMI:
        return getenv("SLURM_STEP_ID") ? "srun --mpi=pmi2" : "mpirun of MPICH or a relative";
    case SRUN:
        return getenv("PMIX_RANK") ? "srun --mpi=pmix" : "srun --mpi=none";
    default:
        return "nothing";
    }
}

int bw__launcher_cores(void)
{
    int64_t cores = launcher() == NOBODY || launcher() == OPEN_MPI ? -1 : number("SLURM_CPUS_ON_NODE");
    return cores > 0 && cores < INT32_MAX ? (int)cores : 0;
}
