/* Processors of a machine that runs several ranks. */
#ifndef BW_DIST_CORES_H
#define BW_DIST_CORES_H
#include "blockwise/comm.h"

/* Divides the processors of every machine among its ranks (bw__usable_cores()); collective. The first rank
 * warns where the launcher has bound those of its machine to fewer processors than there are. */
BW_MUST_CHECK
bw_status bw__comm_share_cores(bw_comm *comm);
#endif
