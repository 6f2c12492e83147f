#include "dist/cores.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/memory.h"
#include "dist/collective.h"
#include "dist/launcher.h"

/* mpirun of Open MPI binds each of two ranks to one core, of more to a socket; srun binds to --cpus-per-task,
 * 1 by default. A training of 64 cores then runs on two. */
static void warn_of_binding(int ranks, int bound)
{
    const bw_core_set launcher = bw__parent_cores();
    int there = bw__launcher_cores();
    bool slurm = there > 0;
    if (!slurm) there = bw__core_count(&launcher, 1);
    if (bound < there)
        bw_log(BW_LOG_WARN,
               "the launcher bound the %d rank%s of this machine to %d of %d cores: the others stay idle; "
               "%s (docs/clusters.md)",
               ranks, ranks == 1 ? "" : "s", bound, there,
               slurm ? "give every rank its share with srun --cpus-per-task=N"
                     : "start with mpirun --bind-to none, or with --map-by slot:PE=N for N cores a rank");
}

bw_status bw__comm_share_cores(bw_comm *comm)
{
    bw_status st = BW_OK;
    bw_comm *here = NULL;
    bw_core_set own = bw__own_cores(), *all = NULL;
    BW_TRY(bw__comm_split_by_machine(&here, comm));
    int ranks = bw_comm_size(here);
    BW_TRY(bw__comm_agree(here, BW_ALLOC(&all, (size_t)ranks)));
    BW_TRY(bw__comm_gather(here, all, &own, sizeof own));
    bw__cores_are_shared(bw__core_share(all, ranks, bw_comm_rank(here)), ranks);
    if (bw_comm_rank(comm) == 0) warn_of_binding(ranks, bw__core_count(all, ranks));
out:
    bw__free(all);
    bw__comm_free(here);
    return st;
}
