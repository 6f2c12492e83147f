/* The public face of every format: finds the format, and passes the calls on. */
#include "data/dataset_internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* In the order in which they are tried: a folder of IDX files is a folder too. */
static const bw_data_format *const formats[] = {
    &bw__format_idx,
    &bw__format_class_folders,
    &bw__format_folder,
};
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
    if (stat(path, &info) != 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        return bw_fail(missing ? BW_EDATA : BW_EIO, "%s: %s", path,
                       missing ? "no such file or folder" : strerror(errno));
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

int bw_dataset_label(const bw_dataset *dataset, int64_t index)
{
    return dataset->labels ? dataset->labels[index] : -1;
}

void bw_dataset_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    dataset->store->name(dataset, index, name, size);
}

bw_status bw_dataset_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    BW_ASSERT(index >= 0 && index < dataset->size);
    return dataset->store->read(dataset, index, image);
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

bw_status bw__path_join(char **out, const char *folder, const char *name)
{
    size_t nf = strlen(folder), nn = strlen(name);
    bool slash = nf > 0 && nn > 0 && folder[nf - 1] != '/';
    bw_status st = bw__alloc((void **)out, nf + nn + 2);
    if (st != BW_OK) return st;
    memcpy(*out, folder, nf);
    if (slash) (*out)[nf] = '/';
    memcpy(*out + nf + slash, name, nn);
    return BW_OK;
}

const char *bw__path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool bw__path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool bw__path_is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bw_status bw__fail_no_split(const char *path, bw_split split)
{
    return split == BW_SPLIT_TEST
               ? bw_fail(BW_EDATA, "%s: no test images there; give them with --test PATH", path)
               : bw_fail(BW_EDATA, "%s: no training images there; give them with --train PATH", path);
}
