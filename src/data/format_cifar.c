/* CIFAR binary batches (cs.toronto.edu/~kriz/cifar.html): records of one label byte (CIFAR-100: a coarse and
 * a fine one) and 32 x 32 pixels, all red, all green, all blue. */
#include "data/records.h"
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define SIDE        32
#define IMAGE_BYTES ((size_t)3 * SIDE * SIDE)
#define MAX_FILES   64

typedef struct cifar_kind {
    const char *title;
    const char *train, *test; /* patterns of file names */
    const char *class_names;  /* file with one name a line */
    size_t label_bytes;       /* the last of them is the label */
    int classes;
} cifar_kind;

static const cifar_kind cifar10 = { "CIFAR-10", "data_batch_*.bin", "test_batch.bin", "batches.meta.txt", 1,
                                    10 };
static const cifar_kind cifar100 = { "CIFAR-100", "train.bin", "test.bin", "fine_label_names.txt", 2, 100 };

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in the folder that match, sorted. The caller frees each. */
static bw_status matching_files(char *names[MAX_FILES], int64_t *n, const char *folder, const char *pattern)
{
    bw_status st = BW_OK;
    DIR *dir = opendir(folder);
    *n = 0;
    if (!dir) return bw_fail(BW_EIO, "%s: cannot read the folder: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));) {
        if (fnmatch(pattern, e->d_name, 0) != 0) continue;
        if (*n == MAX_FILES) {
            st = bw_fail(BW_EDATA, "%s: more than %d files named %s", folder, MAX_FILES, pattern);
            goto out;
        }
        BW_TRY(bw__strdup(&names[*n], e->d_name));
        (*n)++;
    }
    qsort(names, (size_t)*n, sizeof *names, compare_names);
out:
    closedir(dir);
    return st;
}

static bool has_match(const char *folder, const char *pattern)
{
    DIR *dir = opendir(folder);
    bool found = false;
    if (!dir) return false;
    for (struct dirent *e; !found && (e = readdir(dir));)
        found = fnmatch(pattern, e->d_name, 0) == 0;
    closedir(dir);
    return found;
}

static bw_status add_file(bw_dataset *dataset, const cifar_kind *kind, const char *folder, const char *name)
{
    bw_status st = BW_OK;
    bw_blob blob = { 0 };
    char *path = NULL;
    size_t record = kind->label_bytes + IMAGE_BYTES;
    BW_TRY(bw__path_join(&path, folder, name));
    BW_TRY(bw__blob_map(&blob, path));
    if (blob.size == 0 || blob.size % record != 0) {
        st = bw_fail(BW_EDATA,
                     "%s: %zu bytes, but %s has records of %zu bytes; the file is truncated or another kind",
                     path, blob.size, kind->title, record);
        goto out;
    }
    BW_TRY(bw__records_add(dataset, &blob, name, kind->label_bytes, record, (int64_t)(blob.size / record)));
out:
    bw__blob_close(&blob);
    bw__free(path);
    return st;
}

static bw_status read_labels(bw_dataset *dataset, const cifar_kind *kind)
{
    const bw_records *records = dataset->source;
    bw_status st = BW_ALLOC(&dataset->labels, dataset->size);
    if (st != BW_OK) return st;
    for (int64_t p = 0; p < records->n_parts; p++) {
        const bw_record_part *part = &records->parts[p];
        for (int64_t i = 0; i < part->count; i++) {
            int label = part->blob.data[(size_t)i * part->stride + part->offset - 1];
            if (label >= kind->classes)
                return bw_fail(BW_EDATA, "%s: record %lld has label %d, %s ends at %d; another kind of file?",
                               part->name, (long long)i, label, kind->title, kind->classes - 1);
            dataset->labels[part->first + i] = label;
        }
    }
    return BW_OK;
}

static bw_status open_kind(bw_dataset *dataset, const cifar_kind *kind, const char *path, bw_split split)
{
    bw_status st = BW_OK;
    char *folder = NULL, *names[MAX_FILES];
    int64_t n = 0;
    bool is_folder = bw__path_is_folder(path);
    if (is_folder) {
        BW_TRY(bw__strdup(&folder, path));
        if (split != BW_SPLIT_TRAIN) BW_TRY(matching_files(names, &n, path, kind->test));
        if (split == BW_SPLIT_TRAIN || (split == BW_SPLIT_ANY && n == 0))
            BW_TRY(matching_files(names, &n, path, kind->train));
    } else {
        BW_TRY(bw__path_folder(&folder, path));
        if (split != BW_SPLIT_TEST) {
            BW_TRY(bw__strdup(&names[0], bw__path_base(path)));
            n = 1;
        }
    }
    if (n == 0) BW_TRY(bw__fail_no_split(path, split));
    bw_record_layout layout = { SIDE, SIDE, SIDE, 1, (size_t)SIDE * SIDE };
    BW_TRY(bw__records_create(dataset, &layout, n));
    for (int64_t i = 0; i < n; i++)
        BW_TRY(add_file(dataset, kind, folder, names[i]));
    BW_TRY(read_labels(dataset, kind));
    BW_TRY(bw__dataset_name_classes(dataset, folder, kind->class_names, kind->classes));
out:
    for (int64_t i = 0; i < n; i++)
        bw__free(names[i]);
    bw__free(folder);
    return st;
}

static bool looks_like(const cifar_kind *kind, const char *path, bool is_folder)
{
    if (is_folder) return has_match(path, kind->train) || has_match(path, kind->test);
    const char *name = bw__path_base(path);
    return fnmatch(kind->train, name, 0) == 0 || fnmatch(kind->test, name, 0) == 0;
}

static bool cifar10_looks_like(const char *path, bool is_folder)
{
    return looks_like(&cifar10, path, is_folder);
}

static bw_status cifar10_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    (void)forced;
    return open_kind(dataset, &cifar10, path, split);
}

static bool cifar100_looks_like(const char *path, bool is_folder)
{
    return looks_like(&cifar100, path, is_folder);
}

static bw_status cifar100_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    (void)forced;
    return open_kind(dataset, &cifar100, path, split);
}

const bw_data_format bw__format_cifar10 = { "cifar10",
                                            "CIFAR-10 binary batches, or the folder that holds them",
                                            cifar10_looks_like, cifar10_open };
const bw_data_format bw__format_cifar100 = {
    "cifar100", "CIFAR-100 binary files (fine labels), or the folder that holds them", cifar100_looks_like,
    cifar100_open
};
