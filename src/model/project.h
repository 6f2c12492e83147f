/* What stands behind a head, alone: embeddings of features that an extractor has made. */
#ifndef BW_MODEL_PROJECT_H
#define BW_MODEL_PROJECT_H
#include "blockwise/network.h"

/* Width of block k's embeddings; 0 where it has no projector. */
int64_t bw__projection_dim(const bw_network *network, int k);
/* On `threads` compute threads: z [n, projection_dim] of the head's features h [n, head_dim] of block k, in
 * evaluation mode: running statistics. BW_EINVAL: no projector, or n below 1; BW_EKERNEL; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__project(float *z, const bw_network *network, int k, const float *h, int64_t n, int threads);
#endif
