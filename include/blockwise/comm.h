/** Ranks: the processes of one program that mpirun or srun started together. */
#ifndef BLOCKWISE_COMM_H
#define BLOCKWISE_COMM_H
#include "blockwise/status.h"
#include <stdbool.h>
#ifdef __cplusplus
extern "C" {
#endif

/** All ranks of the program, or a group of them. */
typedef struct bw_comm bw_comm;

/** How many ranks the launcher of this process started, by the environment it sets (mpirun of Open MPI, MPICH
 *  and others with PMI, Slurm's srun); 1 where nothing launched it, also inside of a batch script. Asks no
 * MPI library and works in a build without one. */
BW_API int bw_launched_ranks(void);
/** The number of this process among them, from 0, by the same environment. */
BW_API int bw_launched_rank(void);

/** The MPI library of this build: "Open MPI v4.1.4", "MPICH 4.0.2"; "none" in a build without. Borrowed. */
BW_API const char *bw_comm_library(void);

/** Joins the ranks of the program. One alone (bw_launched_ranks() is 1) gets a communicator of one rank and
 *  touches no MPI. Otherwise every rank must call it, from its main thread; MPI is initialised with
 *  MPI_THREAD_MULTIPLE unless the program has done so, and then left to it at the end too. From then on ranks
 *  of one machine share its processors: what "all usable cores" means elsewhere is this rank's share.
 *  MPI begins once in a process: where it is initialised here, bw_comm_end() ends it, and no later
 *  bw_comm_start() succeeds. One communicator at a time.
 *  @param out the caller owns it, bw_comm_end()
 *  @return BW_OK; BW_EINVAL (MPI was finalised in this process; or started as several ranks, but the build
 * has no MPI, or another one than the launcher's, or one that cannot serve several threads; on every rank,
 * and what was initialised here is finalised again); BW_EREMOTE (MPI failed); BW_ENOMEM. After these two MPI
 * is not finalised, since the other ranks may know of nothing */
BW_API BW_MUST_CHECK
bw_status bw_comm_start(bw_comm **out);
/** Every rank must call it. NULL is fine. */
BW_API void bw_comm_end(bw_comm *comm);

/** Number of this rank, from 0, and of all; 0 and 1 for NULL. */
BW_API int bw_comm_rank(const bw_comm *comm);
BW_API int bw_comm_size(const bw_comm *comm);

/** After a call that returned another status than BW_OK: true where all ranks know of the failure and return
 *  too. Where it is false the others may wait for this rank for ever, and only bw_comm_abort() ends them. */
BW_API bool bw_comm_all_failed(const bw_comm *comm);
/** The lowest rank that failed, once bw_comm_all_failed(): one rank that says why is enough. */
BW_API int bw_comm_failed_rank(const bw_comm *comm);
/** What the rank that failed first returned, after BW_EREMOTE; BW_EREMOTE itself where that is not known. */
BW_API bw_status bw_comm_remote_status(const bw_comm *comm);
/** Ends all ranks at once with this exit status. Does not return. A program calls it; the library never
 *  does. */
BW_API void bw_comm_abort(bw_comm *comm, int exit_status);

#ifdef __cplusplus
}
#endif
#endif
