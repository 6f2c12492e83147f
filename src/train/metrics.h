/* metrics.jsonl: one line a step, read by people and programs while the run goes on. */
#ifndef BW_TRAIN_METRICS_H
#define BW_TRAIN_METRICS_H
#include "blockwise/trainer.h"

typedef struct bw_metrics bw_metrics;

/* Opens `path` to append, made if missing. What is there is first cut behind the line of step `last_step`:
 * later steps will be done again, and a line that broke off is cut as well. Nothing is cut where the lines
 * could not all be read. BW_EIO, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__metrics_open(bw_metrics **out, const char *path, int64_t last_step);
void bw__metrics_close(bw_metrics *metrics);

/* Appends the line of one step, handed to the system at once. BW_EIO. */
BW_MUST_CHECK
bw_status bw__metrics_write(bw_metrics *metrics, const bw_step *step);
/* Writes the last line that the file was opened with anew, before any other: `step` is what it says, and what
 * has become known since. BW_EIO. */
BW_MUST_CHECK
bw_status bw__metrics_amend(bw_metrics *metrics, const bw_step *step);
/* Waits until all lines are on the disk. BW_EIO. */
BW_MUST_CHECK
bw_status bw__metrics_sync(bw_metrics *metrics);

/* Calls `fn` with every whole line of `path`, as far as a bw_step has its values. A last line that broke off
 * is left out. BW_EDATA: there is no such file, or a line in it that is no step's. BW_EIO. */
BW_MUST_CHECK
bw_status bw__metrics_read(const char *path, void (*fn)(void *user, const bw_step *step), void *user);
#endif
