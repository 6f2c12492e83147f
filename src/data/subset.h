/* Some images of a data set as a data set of its own, and which: shares of the labels, or lists. */
#ifndef BW_DATA_SUBSET_H
#define BW_DATA_SUBSET_H
#include "blockwise/dataset.h"

/* Images index[0 .. n) of `parent`, in that order, with their labels and the parent's classes. The index is
 * copied; `parent` is borrowed and must outlive the subset. n >= 1. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__dataset_subset(bw_dataset **out, const bw_dataset *parent, const int64_t *index, int64_t n);

/* A list of images; index is released with bw__free(). */
typedef struct bw_image_list {
    int64_t *index; /* [n] ascending */
    int64_t n;
} bw_image_list;
void bw__image_list_clear(bw_image_list *list);

/* The share `fraction`, in (0, 1], of each class's images, rounded, at least one of each class that has
 * images. Which is a function of the seed and the data set alone, and a smaller share lies in a larger one.
 * BW_EINVAL, BW_EDATA: nothing has a label; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__label_fraction(bw_image_list *out, const bw_dataset *dataset, double fraction, uint64_t seed);

/* The images named in a text file, one a line: the data set's names, or the ends of them behind a slash, such
 * as the bare file names of SimCLR's lists. Empty lines and lines that begin with # are passed over.
 * BW_EDATA: no such file, no name in it, a name that is no image's or several images', an image without
 * label. */
BW_MUST_CHECK
bw_status bw__label_list_read(bw_image_list *out, const bw_dataset *dataset, const char *path);
/* Writes such a file with the data set's names. */
BW_MUST_CHECK
bw_status bw__label_list_write(const char *path, const bw_dataset *dataset, const bw_image_list *list);
#endif
