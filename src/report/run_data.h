/* What a page says of a run, as one JSON value, from the files of its folder alone. */
#ifndef BW_REPORT_RUN_DATA_H
#define BW_REPORT_RUN_DATA_H
#include "blockwise/config.h"
#include "formats/json.h"

/* What is needed of a run beside what is shown of it. */
typedef struct bw_run_facts {
    bw_config config;    /* resolved, as the run had it */
    bool finished;       /* and so its weights are there */
    int64_t steps;       /* done so far */
    json_t *environment; /* environment.json, borrowed from the run's data; NULL where there is none */
} bw_run_facts;

/* The caller releases *out with json_decref(). `facts` may be NULL. A run that has not made its first step
 * has no curves; a run under way is read as far as it is.
 *
 *     { "name", "path", "finished", "steps", "total_steps", "verdicts": [...], "curves": {...},
 *       "cost": [{"trunk_parameters", ..., "flops", "saved_bytes"}], "plan": {...},
 *       "settings": {key: text}, "config": "text of config.yaml", "environment": {...}, "probe": [...] }
 *
 * cost and plan, which take a while to count, only with `with_cost`.
 * BW_EDATA: no run folder, or a damaged file in it; BW_EIO; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__run_data(json_t **out, bw_run_facts *facts, const char *run, bool with_cost);
#endif
