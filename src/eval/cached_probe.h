/* The `cached` protocol of the linear probe, on plain arrays of features. */
#ifndef BW_EVAL_CACHED_PROBE_H
#define BW_EVAL_CACHED_PROBE_H
#include "eval/linear_classifier.h"

typedef struct bw_cached_probe {
    int classes;
    int epochs; /* 0: the default */
    uint64_t seed;
    int threads;
} bw_cached_probe;

typedef struct bw_cached_result {
    double top1, top5; /* per cent of the test rows */
    double lr;         /* the one chosen */
    double held_out;   /* its top-1 on the held-out tenth, per cent */
    int epochs;        /* of the last fit */
    int n_lr;          /* learning rates tried */
    int64_t rows;      /* training rows */
} bw_cached_result;

/* Features standardised with the statistics of the training rows; softmax regression from zero weights by SGD
 * (momentum 0.9, batch 256, weight decay 1e-6, half a cosine). A keyed tenth of the training rows is held
 * out, one short fit on the others per learning rate (all at once) shows the rate with the best held-out
 * top-1 (equal: the smaller), and the long fit with that rate sees all training rows. The test rows are only
 * scored. `classifier` may be NULL; else the caller owns it.
 *
 * `train` and `test` select the first n rows (rows is NULL). Default epochs: 30, or more where that would be
 * fewer than 3000 steps.
 * BW_EDATA: fewer than two classes among the training rows. BW_ENONFINITE: features not finite.
 * BW_EINTERRUPTED. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__cached_probe(bw_linear **classifier, bw_cached_result *out, const bw_selection *train,
                           const bw_selection *test, const bw_cached_probe *probe,
                           const bw_progress *progress);

/* The same without test rows: the classifier, which the caller owns. The result's top1 and top5 stay 0. */
BW_MUST_CHECK
bw_status bw__cached_probe_fit(bw_linear **classifier, bw_cached_result *out, const bw_selection *train,
                               const bw_cached_probe *probe, const bw_progress *progress);

/* Text for people, quoting everything of the protocol that is not in the result's other fields. */
void bw__cached_protocol(char *text, size_t size, const bw_cached_result *result, int64_t image_size);
#endif
