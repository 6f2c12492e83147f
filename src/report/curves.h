/* The metrics of a run as curves that a page can draw: any number of steps, at most so many points. */
#ifndef BW_REPORT_CURVES_H
#define BW_REPORT_CURVES_H
#include "formats/json.h"

/* Reads metrics.jsonl at `path`. The caller releases *out with json_decref():
 *
 *     { "blocks": B, "steps": N,
 *       "every_step":  curves of loss, terms, grad_norm, probe_top1_train for each block, and of the run
 *       "health":      embedding_std, effective_rank, effective_rank_max, dead_channels for each block
 *       "probe":       probe_top1 for each block }
 *
 * where curves are { "step": [P], "per_point": n, "run": { name: [P] }, "block": [B] of { name: [P] } }. A
 * point is the mean of n measurements that follow each other, at the last one's step; null where there was
 * none. A name that no measurement has is left out. As bw__metrics_read(), and BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__curves_read(json_t **out, const char *path);
#endif
