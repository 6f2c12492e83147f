/* What a training and a test split must have in common before anything is measured on them. */
#ifndef BW_DATA_SPLITS_H
#define BW_DATA_SPLITS_H
#include "blockwise/dataset.h"

/* BW_EDATA: no labels, fewer than two classes, or classes that differ (the first difference is named). The
 * test split may lack the last classes of the training split. `what` begins the message ("linear probe"). */
BW_MUST_CHECK
bw_status bw__check_splits(const bw_dataset *train, const bw_dataset *test, const char *what);
#endif
