#include "train/labels.h"
#include "base/error.h"
#include "formats/architecture.h"
#include "loss/loss.h"
#include <inttypes.h>

bool bw__labels_needed(const bw_config *config)
{
    for (int k = 0; k < bw__config_blocks(config); k++)
        if (bw__loss_needs_labels(bw_config_block(config, k).loss.name)) return true;
    return false;
}

/* Data such as STL-10's has labels for some of its images only. */
static bw_status check_every_image(const bw_dataset *dataset, const char *path)
{
    char name[256];
    int64_t first = -1, without = 0;
    for (int64_t i = 0; i < bw_dataset_size(dataset); i++) {
        if (bw_dataset_label(dataset, i) >= 0) continue;
        if (without++ == 0) first = i;
    }
    if (without == 0) return BW_OK;
    bw_dataset_name(dataset, first, name, sizeof name);
    return bw_fail(BW_EDATA,
                   "%s: %" PRId64 " of %" PRId64 " images have no label (the first is %s), and the "
                   "cross-entropy loss needs one of each; leave them out, or take another loss.name",
                   path, without, bw_dataset_size(dataset), name);
}

void bw__labels_set_classes(bw_config *config, int64_t classes)
{
    if (config->loss.classes == 0) config->loss.classes = classes;
    for (int k = 0; k < bw__config_blocks(config); k++)
        if (bw_config_block(config, k).loss.classes == 0) config->block[k].loss.classes = classes;
}

bw_status bw__labels_settle(bw_config *config, const bw_dataset *dataset, const char *path)
{
    int classes = bw_dataset_classes(dataset);
    if (!bw__labels_needed(config)) return BW_OK;
    if (classes == 0)
        return bw_fail(BW_EDATA,
                       "%s: images of format %s without labels; loss.name cross-entropy needs classes: give "
                       "folders of classes or a list with labels, or take another loss.name",
                       path, bw_dataset_format(dataset));
    if (classes < 2)
        return bw_fail(BW_EDATA, "%s: only one class, and loss.name cross-entropy needs at least two", path);
    bw_status st = check_every_image(dataset, path);
    if (st != BW_OK) return st;
    bw__labels_set_classes(config, classes);
    for (int k = 0; k < bw__config_blocks(config); k++) {
        bw_loss_config loss = bw_config_block(config, k).loss;
        if (bw__loss_needs_labels(loss.name) && loss.classes < classes)
            return bw_fail(BW_EINVAL,
                           "loss.classes: %" PRId64
                           " is less than the %d classes of %s; leave it out to take "
                           "those of the data",
                           loss.classes, classes, path);
    }
    return BW_OK;
}
