/* What the environment says of the launcher of this process; see bw_launched_ranks(). */
#ifndef BW_DIST_LAUNCHER_H
#define BW_DIST_LAUNCHER_H

/* For messages: "srun --mpi=pmi2". */
const char *bw__launcher_name(void);
/* Processors of this machine that srun gave to the ranks on it; 0 where another launched them. */
int bw__launcher_cores(void);
#endif
