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
    /* The rest may be NULL. Label of an image as the store knows it; for stores that keep labels themselves.
     */
    int (*label)(const bw_dataset *dataset, int64_t index);
    /* The image as it is encoded, released with bw__free(); for stores of encoded images. */
    bw_status (*encoded)(const bw_dataset *dataset, int64_t index, uint8_t **bytes, size_t *size);
    /* Writes what else is wrong with the data, number `index` of it; false past the last. */
    bool (*problem)(const bw_dataset *dataset, int64_t index, char *text, size_t size);
} bw_data_store;

struct bw_dataset {
    const bw_data_format *format;
    const bw_data_store *store;
    void *source; /* of the store */
    int64_t size;
    int32_t *labels;   /* [size], or NULL: the store has them, or there are none */
    int32_t *renumber; /* [store_classes] the data set's number of each label of the store; NULL: the same */
    int store_classes;
    int classes;
    double lost; /* share of the data that cannot be reached, so that its images are not even counted */
    char **class_names; /* [classes], one allocation with the texts */
};

extern const bw_data_format bw__format_idx, bw__format_cifar10, bw__format_cifar100, bw__format_stl10,
    bw__format_list, bw__format_class_folders, bw__format_folder, bw__format_tar, bw__format_image;

/* Frees what the data set holds and leaves it empty; what bw_dataset_free() does but for the struct. */
void bw__dataset_close(bw_dataset *dataset);

/* The file beside shards that names the classes of their .cls files, one a line. */
#define BW_CLASSES_FILE "classes.txt"

bool bw__dataset_has_labels(const bw_dataset *dataset);
/* The image as it is encoded, released with bw__free(); *bytes is NULL where the data set has raw pixels. */
BW_MUST_CHECK
bw_status bw__dataset_encoded(const bw_dataset *dataset, int64_t index, uint8_t **bytes, size_t *size);

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

/* BW_ENOSPLIT, and the sentence for it. */
bw_status bw__fail_no_split(const char *path, bw_split split);
#endif
