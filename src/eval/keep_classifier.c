#include "eval/keep_classifier.h"
#include "base/error.h"

bw_status bw__keep_classifier(bw_classifier *out, bw_target target, const bw_linear *linear,
                              const bw_columns *columns, int classes)
{
    if (target.block < 0) return BW_OK;
    bw_status st =
        bw__classifier_create(out, target.block, target.feature, bw__columns_dim(columns), classes);
    if (st == BW_OK) bw__linear_fold(out->weight, out->bias, linear, 0);
    return st;
}
