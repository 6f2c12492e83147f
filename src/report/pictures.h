/* What a page shows by running a network on images: embeddings' correlation, neighbours, a map of features,
 * kNN beside random initialisation, filters. */
#ifndef BW_REPORT_PICTURES_H
#define BW_REPORT_PICTURES_H
#include "report/run_data.h"

typedef struct bw_pictures_options {
    const char *data;   /* NULL: where the run had its images */
    const char *format; /* of `data`; NULL: found out by looking */
    int64_t images;     /* to compare with; half as many are asked about. 0: no images */
    uint64_t seed;
    int threads;
    bw_progress_fn progress; /* may be NULL */
    void *user;
} bw_pictures_options;

/* The caller releases *out with json_decref(). What cannot be made is left out, and "problem" says why; where
 * the images were asked for by name that is a failure instead.
 * BW_EDATA: the run's weights are damaged, or images asked for are missing or unreadable; BW_EINTERRUPTED;
 * BW_EKERNEL; BW_ENONFINITE; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__pictures(json_t **out, const char *run, const bw_run_facts *facts,
                       const bw_pictures_options *options);
#endif
