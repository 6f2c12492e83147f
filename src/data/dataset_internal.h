/* How the formats of data hang together: a format finds out whether a path is of its kind and opens it;
 * where the images then lie is one of two stores, encoded files (files.c) or raw pixels (records.c). */
#ifndef BW_DATA_DATASET_INTERNAL_H
#define BW_DATA_DATASET_INTERNAL_H
#include "base/memory.h"
#include "blockwise/dataset.h"
#include <stdbool.h>

typedef struct bw_data_format {
    const char *name, *help;
    /* Whether the file or folder at `path` is of this format; cheap, and never an error. */
    bool (*looks_like)(const char *path, bool is_folder);
    /* Fills the data set; what it has set when it fails is freed by the caller. `forced`: the user named
     * this format. */
    bw_status (*open)(bw_dataset *dataset, const char *path, bw_split split, bool forced);
} bw_data_format;

typedef struct bw_data_store {
    bw_status (*read)(const bw_dataset *dataset, int64_t index, bw_image *image);
    void (*name)(const bw_dataset *dataset, int64_t index, char *name, size_t size);
    void (*close)(void *source);
} bw_data_store;

struct bw_dataset {
    const bw_data_format *format;
    const bw_data_store *store;
    void *source; /* of the store */
    int64_t size;
    int32_t *labels; /* [size] or NULL: no labels */
    int classes;
    char **class_names; /* [classes], one allocation with the texts */
};

extern const bw_data_format bw__format_idx, bw__format_cifar10, bw__format_cifar100, bw__format_stl10,
    bw__format_list, bw__format_class_folders, bw__format_folder;

/* Frees what the data set holds and leaves it empty; what bw_dataset_free() does but for the struct. */
void bw__dataset_close(bw_dataset *dataset);

/* Copies `n` names, or with NULL names the classes 0 .. n - 1 by their numbers. */
BW_MUST_CHECK
bw_status bw__dataset_set_classes(bw_dataset *dataset, const char *const *names, int n);

/* Names the `n` classes from the lines of folder/file; by their numbers where there is no such file or it
 * has another number of lines. */
BW_MUST_CHECK
bw_status bw__dataset_name_classes(bw_dataset *dataset, const char *folder, const char *file, int n);

/* "folder/name", owned by the caller; `folder` "" gives "name". */
BW_MUST_CHECK
bw_status bw__path_join(char **out, const char *folder, const char *name);
/* Part of `path` before the last slash, without it; owned by the caller. */
BW_MUST_CHECK
bw_status bw__path_folder(char **out, const char *path);
/* Borrowed part of `path` after the last slash. */
const char *bw__path_base(const char *path);
bool bw__path_is_folder(const char *path);
bool bw__path_is_file(const char *path);

/* The sentence for a split that is not there. */
bw_status bw__fail_no_split(const char *path, bw_split split);
#endif
