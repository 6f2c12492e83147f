/* The `augmented` protocol of the linear probe: what the authors of the method do. */
#ifndef BW_EVAL_AUGMENTED_PROBE_H
#define BW_EVAL_AUGMENTED_PROBE_H
#include "eval/keep_classifier.h"

/* One linear classifier per target, all trained in the same passes over random resized crops and flips: the
 * backbone is frozen in evaluation mode; SGD, momentum 0.9, batch 256, lr 0.1 following half a cosine epoch
 * by epoch, weight decay 1e-6, weights N(0, 0.01), biases 0; tested on the evaluation transform. `results` is
 * [targets->n], filled but for its first two fields, which the caller knows; `keep` [targets->n], or NULL,
 * takes the classifiers. */
BW_MUST_CHECK
bw_status bw__augmented_probe(bw_probe_result *results, const bw_network *network,
                              const bw_target_list *targets, const bw_dataset *train, const bw_dataset *test,
                              const bw_probe_options *options, bw_classifier *keep, bw_progress_fn progress,
                              void *user);
#endif
