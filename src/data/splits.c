#include "data/splits.h"
#include "base/error.h"
#include <string.h>

bw_status bw__check_splits(const bw_dataset *train, const bw_dataset *test, const char *what)
{
    int classes = bw_dataset_classes(train), tested = bw_dataset_classes(test);
    if (classes == 0)
        return bw_fail(BW_EDATA, "%s: the training images (%s) have no labels; give data with classes", what,
                       bw_dataset_format(train));
    if (classes == 1)
        return bw_fail(BW_EDATA, "%s: the training images are all of one class ('%s'); it needs two classes",
                       what, bw_dataset_class_name(train, 0));
    if (tested == 0)
        return bw_fail(BW_EDATA, "%s: the test images (%s) have no labels; give data with classes", what,
                       bw_dataset_format(test));
    for (int c = 0; c < tested && c < classes; c++) {
        const char *a = bw_dataset_class_name(train, c), *b = bw_dataset_class_name(test, c);
        if (strcmp(a, b) != 0)
            return bw_fail(BW_EDATA, "%s: class %d is '%s' in the training split and '%s' in the test split",
                           what, c + 1, a, b);
    }
    if (tested > classes)
        return bw_fail(BW_EDATA, "%s: class '%s' is in the test split only", what,
                       bw_dataset_class_name(test, classes));
    return BW_OK;
}
