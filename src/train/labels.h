/* What losses that look at labels need of the data. */
#ifndef BW_TRAIN_LABELS_H
#define BW_TRAIN_LABELS_H
#include "blockwise/config.h"
#include "blockwise/dataset.h"

/* Sets loss.classes, of the run and of single blocks, where a resolved config leaves it open. */
void bw__labels_set_classes(bw_config *config, int64_t classes);

/* The same with the number of classes in `dataset`, where a block has a loss that looks at labels, or there
 * is the online probe. path: of the data, for messages. BW_EDATA: such a block learns or there is the probe,
 * and there are no labels, a single class, or, for a loss, an image without a label; BW_EINVAL: fewer
 * loss.classes than the data has. */
BW_MUST_CHECK
bw_status bw__labels_settle(bw_config *config, const bw_dataset *dataset, const char *path);
#endif
