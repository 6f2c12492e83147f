/* Store of encoded image files below one folder: class folders, plain folders, lists. */
#ifndef BW_DATA_FILES_H
#define BW_DATA_FILES_H
#include "data/dataset_internal.h"

typedef struct bw_files {
    char *root;   /* names are relative to it; "" for the working folder */
    char **names; /* [count]; an absolute name stands for itself */
    int64_t count;
    char *pool; /* the texts of the names, one after the other */
    size_t pool_bytes, pool_capacity;
    int64_t others;  /* files met that are no images we read */
    int64_t foreign; /* those of them that are images all the same, as their names say */
} bw_files;

/* Gives `dataset` this store, empty. */
BW_MUST_CHECK
bw_status bw__files_create(bw_dataset *dataset, const char *root);
/* Adds one name; bw__files_finish() makes names and size of the data set valid. */
BW_MUST_CHECK
bw_status bw__files_add(bw_dataset *dataset, const char *name, size_t length);
BW_MUST_CHECK
bw_status bw__files_finish(bw_dataset *dataset);
/* Adds every image file below root/prefix, and finishes, in ImageFolder's order: by the first folder
 * below the prefix, then by folder, then by file name, each bytewise. Hidden names are passed over, links
 * are followed. */
BW_MUST_CHECK
bw_status bw__files_scan(bw_dataset *dataset, const char *prefix);

/* Whether the name's ending is one of an image we read. */
bool bw__files_is_image_name(const char *name);
#endif
