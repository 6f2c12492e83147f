/* The folder of a run: whether it may be used, its lock, and the files that say what the run is.
 * (Checkpoints and metrics have files of their own here.) */
#ifndef BW_TRAIN_RUN_FOLDER_H
#define BW_TRAIN_RUN_FOLDER_H
#include "blockwise/config.h"

#define BW_RUN_CONFIG      "config.yaml"
#define BW_RUN_ENVIRONMENT "environment.json"
#define BW_RUN_METRICS     "metrics.jsonl"
#define BW_RUN_CHECKPOINTS "checkpoints"
#define BW_RUN_TRUNK       "model.safetensors"
#define BW_RUN_HEADS       "heads.safetensors"
#define BW_RUN_HUB_CONFIG  "config.json"
#define BW_RUN_FINISHED    "finished"
#define BW_RUN_PROBE       "probe.json" /* not of the run: blockwise probe writes it */
#define BW_RUN_LOCK        ".lock"

typedef enum bw_run_state {
    BW_RUN_NEW,     /* no folder, an empty one, or one whose run had not begun */
    BW_RUN_STARTED, /* config.yaml is there and agrees */
    BW_RUN_COMPLETE /* all is written */
} bw_run_state;

/* Looks without touching anything. BW_EEXIST: something is there and `resume` is false, or it is no run;
 * BW_EINVAL: a setting differs from the run's, by name; BW_EDATA: its config.yaml is damaged; BW_EIO. */
BW_MUST_CHECK
bw_status bw__run_look(bw_run_state *out, const char *folder, const bw_config *config, bool resume);

/* For readers who found no config.yaml in `folder`. Always BW_EDATA: it is no run, or there is nothing, with
 * what is near (base/nearest.h). */
BW_MUST_CHECK
bw_status bw__run_refuse(const char *folder);

typedef struct bw_run_folder bw_run_folder;

/* Makes the folder, locks it against other processes, looks again under the lock, and removes what a killed
 * process left half written. BW_EEXIST also where another process holds the run. */
BW_MUST_CHECK
bw_status bw__run_open(bw_run_folder **out, bw_run_state *out_state, const char *folder,
                       const bw_config *config, bool resume);
void bw__run_close(bw_run_folder *run);

/* Path of one of the names above; borrowed, valid until the next call with the same run. */
BW_MUST_CHECK
bw_status bw__run_path(const char **out, bw_run_folder *run, const char *name);
/* Writes a small file whole. BW_EIO. */
BW_MUST_CHECK
bw_status bw__run_write(bw_run_folder *run, const char *name, const char *text);
/* config.yaml: from here on the folder is a run that can be resumed. */
BW_MUST_CHECK
bw_status bw__run_write_config(bw_run_folder *run, const bw_config *config);
#endif
