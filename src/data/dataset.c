/* The public face of every format: finds the format, and passes the calls on. */
#include "base/nearest.h"
#include "data/blob.h"
#include "data/brace.h"
#include "data/dataset_internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* In the order in which they are tried: a folder of IDX files is a folder too. */
static const bw_data_format *const formats[] = {
    &bw__format_tar,   &bw__format_idx,  &bw__format_cifar10,       &bw__format_cifar100, &bw__format_stl10,
    &bw__format_image, &bw__format_list, &bw__format_class_folders, &bw__format_folder,
};
enum { HINT_ROOM = 2048 };
#define N_FORMATS (sizeof formats / sizeof *formats)

int bw_dataset_format_at(const char **name, const char **help, int index)
{
    if (index < 0 || (size_t)index >= N_FORMATS) return 0;
    *name = formats[index]->name;
    *help = formats[index]->help;
    return 1;
}

static bw_status format_named(const bw_data_format **out, const char *name)
{
    char all[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < N_FORMATS; i++) {
        *out = formats[i];
        if (strcmp(name, formats[i]->name) == 0) return BW_OK;
        int len = snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", formats[i]->name);
        BW_ASSERT(len > 0 && (size_t)len < sizeof all - n);
        n += (size_t)len;
    }
    *out = NULL;
    return bw_fail(BW_EINVAL, "format %s is unknown; there are %s", name, all);
}

static bw_status find_format(const bw_data_format **out, const char *path, bool is_folder)
{
    for (size_t i = 0; i < N_FORMATS; i++) {
        *out = formats[i];
        if (formats[i]->looks_like(path, is_folder)) return BW_OK;
    }
    *out = NULL;
    return bw_fail(BW_EDATA,
                   "%s: not a data set of a known format; give the folder of the images, or --format", path);
}

bw_status bw_dataset_open(bw_dataset **out, const char *path, bw_split split, const char *format)
{
    bw_status st = BW_OK;
    bw_dataset *dataset = NULL;
    const bw_data_format *found;
    struct stat info;
    *out = NULL;
    if (format) BW_TRY(format_named(&found, format));
    const int error = stat(path, &info) == 0 ? 0 : errno;
    const bool there = error == 0;
    if (!there && bw__brace_has(path)) { /* many shards by one name */
        if (!format) found = &bw__format_tar;
        format = found->name;
    } else if (!there) {
        char hint[HINT_ROOM];
        if (error != ENOENT && error != ENOTDIR) return bw_fail(BW_EIO, "%s: %s", path, strerror(error));
        bw__missing_hint(hint, sizeof hint, path);
        return bw_fail(BW_EDATA, "%s: no such file or folder%s", path, hint);
    }
    if (!format) BW_TRY(find_format(&found, path, S_ISDIR(info.st_mode)));
    BW_TRY(BW_ALLOC(&dataset, 1));
    dataset->format = found;
    BW_TRY(found->open(dataset, path, split, format != NULL));
    BW_ASSERT(dataset->store && dataset->size > 0);
    *out = dataset;
    dataset = NULL;
out:
    bw_dataset_free(dataset);
    return st;
}

void bw__dataset_close(bw_dataset *dataset)
{
    if (dataset->store) dataset->store->close(dataset->source);
    bw__free(dataset->labels);
    bw__free(dataset->renumber);
    bw__free(dataset->class_names);
    *dataset = (bw_dataset){ 0 };
}

void bw_dataset_free(bw_dataset *dataset)
{
    if (!dataset) return;
    bw__dataset_close(dataset);
    bw__free(dataset);
}

int64_t bw_dataset_size(const bw_dataset *dataset)
{
    return dataset->size;
}

const char *bw_dataset_format(const bw_dataset *dataset)
{
    return dataset->format->name;
}

int bw_dataset_classes(const bw_dataset *dataset)
{
    return dataset->classes;
}

const char *bw_dataset_class_name(const bw_dataset *dataset, int label)
{
    return label >= 0 && label < dataset->classes ? dataset->class_names[label] : "";
}

static bool has_image(const bw_dataset *dataset, int64_t index)
{
    return index >= 0 && index < dataset->size;
}

int bw_dataset_label(const bw_dataset *dataset, int64_t index)
{
    if (!has_image(dataset, index)) return -1;
    if (dataset->labels) return dataset->labels[index];
    if (!dataset->store->label) return -1;
    const int label = dataset->store->label(dataset, index);
    return label >= 0 && dataset->renumber ? dataset->renumber[label] : label;
}

bool bw__dataset_has_labels(const bw_dataset *dataset)
{
    return dataset->labels || (dataset->store->label && dataset->classes > 0);
}

bw_status bw__dataset_encoded(const bw_dataset *dataset, int64_t index, uint8_t **bytes, size_t *size)
{
    *bytes = NULL;
    *size = 0;
    return dataset->store->encoded ? dataset->store->encoded(dataset, index, bytes, size) : BW_OK;
}

int bw_dataset_problem(const bw_dataset *dataset, int64_t index, char *text, size_t size)
{
    return index >= 0 && dataset->store->problem ? dataset->store->problem(dataset, index, text, size) : 0;
}

void bw_dataset_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    if (has_image(dataset, index))
        dataset->store->name(dataset, index, name, size);
    else if (size > 0)
        name[0] = '\0';
}

bw_status bw_dataset_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    if (!has_image(dataset, index))
        return bw_fail(BW_EINVAL, "there is no image %lld: the data has %lld, numbered from 0",
                       (long long)index, (long long)dataset->size);
    return dataset->store->read(dataset, index, image);
}

double bw_dataset_lost(const bw_dataset *dataset)
{
    return dataset->lost;
}

bw_status bw__dataset_set_classes(bw_dataset *dataset, const char *const *names, int n)
{
    char number[16], **all;
    size_t bytes = (size_t)n * sizeof *all;
    for (int i = 0; i < n; i++)
        bytes += names ? strlen(names[i]) + 1 : sizeof number;
    bw_status st = bw__alloc((void **)&all, bytes);
    if (st != BW_OK) return st;
    char *text = (char *)(all + n);
    for (int i = 0; i < n; i++) {
        (void)snprintf(number, sizeof number, "%d", i);
        const char *name = names ? names[i] : number;
        size_t size = strlen(name) + 1;
        memcpy(text, name, size);
        all[i] = text;
        text += size;
    }
    bw__free(dataset->class_names);
    dataset->class_names = all;
    dataset->classes = n;
    return BW_OK;
}

bw_status bw__dataset_name_classes(bw_dataset *dataset, const char *folder, const char *file, int n)
{
    bw_status st = BW_OK;
    bw_blob blob = { 0 };
    char *path = NULL, *text = NULL, **names = NULL, *rest;
    int lines = 0;
    BW_TRY(bw__path_join(&path, folder, file));
    if (bw__path_is_file(path)) {
        BW_TRY(bw__blob_map(&blob, path));
        BW_TRY(bw__alloc((void **)&text, blob.size + 1));
        BW_TRY(BW_ALLOC(&names, n));
        if (blob.size) memcpy(text, blob.data, blob.size);
        for (char *p = strtok_r(text, "\r\n", &rest); p; p = strtok_r(NULL, "\r\n", &rest), lines++)
            if (lines < n) names[lines] = p;
    }
    st = bw__dataset_set_classes(dataset, lines == n ? (const char *const *)names : NULL, n);
out:
    bw__free(names);
    bw__free(text);
    bw__blob_close(&blob);
    bw__free(path);
    return st;
}

/* Number of the class of this name, looked for first where it most likely is; -1 if there is none. */
static int find_class(const bw_dataset *dataset, const char *name, int guess)
{
    if (guess < dataset->classes && strcmp(dataset->class_names[guess], name) == 0) return guess;
    for (int c = 0; c < dataset->classes; c++)
        if (strcmp(dataset->class_names[c], name) == 0) return c;
    return -1;
}

/* Gives every label of the data set the number number[label]; -1 for labels that no image has. */
static bw_status renumber_labels(bw_dataset *dataset, const int32_t *number)
{
    int32_t *renumber = dataset->renumber;
    const int classes = dataset->classes;
    if (dataset->labels) {
        for (int64_t i = 0; i < dataset->size; i++)
            if (dataset->labels[i] >= 0) dataset->labels[i] = number[dataset->labels[i]];
        return BW_OK;
    }
    if (renumber) {
        for (int c = 0; c < dataset->store_classes; c++)
            renumber[c] = renumber[c] >= 0 ? number[renumber[c]] : -1;
        return BW_OK;
    }
    bw_status st = BW_ALLOC(&renumber, classes);
    if (st != BW_OK) return st;
    memcpy(renumber, number, (size_t)classes * sizeof *number);
    dataset->renumber = renumber;
    dataset->store_classes = classes;
    return BW_OK;
}

bw_status bw_dataset_match_classes(bw_dataset *dataset, const bw_dataset *train)
{
    bw_status st = BW_OK;
    int32_t *number = NULL;
    if (!bw__dataset_has_labels(dataset) || !bw__dataset_has_labels(train)) return BW_OK;
    BW_TRY(BW_ALLOC(&number, dataset->classes));
    for (int c = 0; c < dataset->classes; c++)
        number[c] = find_class(train, dataset->class_names[c], c);
    for (int64_t i = 0; i < dataset->size; i++) {
        const int label = bw_dataset_label(dataset, i);
        if (label >= 0 && number[label] < 0)
            BW_TRY(bw_fail(BW_EDATA, "class %s has no training images; add some or leave its images out",
                           dataset->class_names[label]));
    }
    BW_TRY(renumber_labels(dataset, number));
    st = bw__dataset_set_classes(dataset, (const char *const *)train->class_names, train->classes);
out:
    bw__free(number);
    return st;
}

bw_status bw__fail_no_split(const char *path, bw_split split)
{
    return split == BW_SPLIT_TEST
               ? bw_fail(BW_ENOSPLIT, "%s: no test images there; give them with --test PATH", path)
               : bw_fail(BW_ENOSPLIT, "%s: no training images there; give them with --train PATH", path);
}
