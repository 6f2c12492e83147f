#include "train/labels.h"
#include "base/error.h"
#include "formats/architecture.h"
#include "loss/loss.h"
#include "train/order.h"
#include <inttypes.h>
#include <stdio.h>

static bool looks_at_labels(const bw_config *config, int k)
{
    const bw_loss_config loss = bw_config_block(config, k).loss;
    return bw__loss_needs_labels(&loss);
}

/* The first block whose loss looks at labels, or the first of those that learn; -1: none. */
static int first_that_looks(const bw_config *config, bool that_learns)
{
    bw_phases phases;
    int blocks = bw__config_blocks(config);
    bw__phases(&phases, config, blocks, 1);
    for (int k = 0; k < blocks; k++)
        if (looks_at_labels(config, k) && (!that_learns || bw__phases_of(&phases, k))) return k;
    return -1;
}

enum { SHOWN = 64 };

/* "loss.name cross-entropy" or "loss.rule mine", of block k. */
static void name_loss(char out[SHOWN], const bw_config *config, int k)
{
    const bw_loss_config loss = bw_config_block(config, k).loss;
    if (loss.name == BW_LOSS_CUSTOM)
        (void)snprintf(out, SHOWN, "loss.rule %s", loss.rule);
    else
        (void)snprintf(out, SHOWN, "loss.name cross-entropy");
}

/* Data such as STL-10's has labels for some of its images only. */
static bw_status check_every_image(const bw_dataset *dataset, const char *path, const char *what)
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
                   "%s: %" PRId64 " of %" PRId64 " images have no label (the first is %s), and %s "
                   "needs one of each; leave them out, or take another loss",
                   path, without, bw_dataset_size(dataset), name, what);
}

void bw__labels_set_classes(bw_config *config, int64_t classes)
{
    if (config->loss.classes == 0) config->loss.classes = classes;
    for (int k = 0; k < bw__config_blocks(config); k++)
        if (bw_config_block(config, k).loss.classes == 0) config->block[k].loss.classes = classes;
}

/* loss: what needs them is the loss of a block that learns, or NULL: the online probe alone, which can do
 * without those of some images. */
static bw_status check_data(const bw_dataset *dataset, const char *path, const char *loss)
{
    int classes = bw_dataset_classes(dataset);
    const char *what = loss ? loss : "the online probe (probe.every)",
               *instead = loss ? "take another loss" : "set probe.every 0";
    if (classes == 0)
        return bw_fail(BW_EDATA,
                       "%s: images of format %s without labels; %s needs classes: give folders of classes or "
                       "a list with labels, or %s",
                       path, bw_dataset_format(dataset), what, instead);
    if (classes < 2) return bw_fail(BW_EDATA, "%s: only one class, and %s needs at least two", path, what);
    return loss ? check_every_image(dataset, path, loss) : BW_OK;
}

static bw_status check_room(int64_t room, int classes, const char *path)
{
    if (room >= classes) return BW_OK;
    return bw_fail(BW_EINVAL,
                   "loss.classes: %" PRId64 " is less than the %d classes of %s; leave it out to take those "
                   "of the data",
                   room, classes, path);
}

bw_status bw__labels_settle(bw_config *config, const bw_dataset *dataset, const char *path)
{
    bw_status st = BW_OK;
    char what[SHOWN];
    int classes = bw_dataset_classes(dataset);
    int first = first_that_looks(config, true);
    bool probe = config->probe.every > 0, loss = first >= 0;
    if (!probe && first_that_looks(config, false) < 0) return BW_OK;
    if (loss) name_loss(what, config, first);
    if (probe || loss) BW_TRY(check_data(dataset, path, loss ? what : NULL));
    bw__labels_set_classes(config, classes);
    if (probe) BW_TRY(check_room(config->loss.classes, classes, path));
    for (int k = 0; k < bw__config_blocks(config); k++)
        if (looks_at_labels(config, k))
            BW_TRY(check_room(bw_config_block(config, k).loss.classes, classes, path));
out:
    return st;
}
