/* Published corrupted test images: a folder in the layout of ImageNet-C or of CIFAR-10-C. */
#ifndef BW_DATA_CORRUPTED_H
#define BW_DATA_CORRUPTED_H
#include "blockwise/dataset.h"

/* ImageNet-C: NAME/SEVERITY/class/image, or one level lower as its archives unpack
 * (blur/defocus_blur/1/n01440764/...). CIFAR-10-C: NAME.npy [n, h, w, 3] u8, whose n images are those of the
 * five severities one after the other, and labels.npy with [n] or [n / 5] numbers of classes. */
typedef struct bw_corrupted bw_corrupted;

/* Finds the corruptions, sorted by name; what is neither is passed over with a warning. Images are not read.
 * BW_EDATA: no such folder, or no corruption in it, or labels.npy missing. BW_EIO; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__corrupted_open(bw_corrupted **out, const char *path);
void bw__corrupted_free(bw_corrupted *corrupted);

int bw__corrupted_count(const bw_corrupted *corrupted);
const char *bw__corrupted_name(const bw_corrupted *corrupted, int index);

/* Whether all five severities are there: cheap. BW_EDATA names the one that is not, or what is wrong with the
 * file. */
BW_MUST_CHECK
bw_status bw__corrupted_check(const bw_corrupted *corrupted, int index);

/* The images of one severity, from 1. Their classes have the names of the folders, or are numbers. */
BW_MUST_CHECK
bw_status bw__corrupted_images(bw_dataset **out, const bw_corrupted *corrupted, int index, int severity);
/* Whether classes are numbers and not names. */
int bw__corrupted_has_numbers(const bw_corrupted *corrupted);
#endif
