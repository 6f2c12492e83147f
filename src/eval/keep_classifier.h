/* A fitted classifier, as a file of classifiers has it (model/probe_file.h). */
#ifndef BW_EVAL_KEEP_CLASSIFIER_H
#define BW_EVAL_KEEP_CLASSIFIER_H
#include "eval/features.h"
#include "model/probe_file.h"

/* Classifier 0 of `linear`, a copy for features as they are. A concatenation gives none. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__keep_classifier(bw_classifier *out, bw_target target, const bw_linear *linear,
                              const bw_columns *columns, int classes);
#endif
