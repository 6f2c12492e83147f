#include "data/corrupted.h"
#include "data/records.h"
#include "formats/npy.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *name; /* of the corruption */
    char *path; /* its folder, or its .npy file */
} entry;

struct bw_corrupted {
    char *path;
    bool arrays; /* .npy files, not folders */
    entry *entries;
    int count, room;
};

/* --- what is there --- */

typedef struct name_list {
    char **names;
    int count, room;
} name_list;

static void clear_names(name_list *list)
{
    for (int i = 0; i < list->count; i++)
        bw__free(list->names[i]);
    bw__free(list->names);
    *list = (name_list){ 0 };
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a folder but for hidden ones, sorted. */
static bw_status list_names(name_list *list, const char *path)
{
    bw_status st = BW_OK;
    char **more = NULL;
    DIR *dir = opendir(path);
    *list = (name_list){ 0 };
    if (!dir)
        return bw_fail(errno == ENOENT || errno == ENOTDIR ? BW_EDATA : BW_EIO,
                       "%s: cannot read the folder of corrupted images: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        if (list->count == list->room) {
            BW_TRY(BW_ALLOC(&more, 2 * list->room + 16));
            if (list->count) memcpy(more, list->names, (size_t)list->count * sizeof *more);
            bw__free(list->names);
            list->names = more;
            list->room = 2 * list->room + 16;
        }
        BW_TRY(bw__strdup(&list->names[list->count], e->d_name));
        list->count++;
    }
    if (list->count) qsort(list->names, (size_t)list->count, sizeof *list->names, compare_names);
out:
    (void)closedir(dir);
    if (st != BW_OK) clear_names(list);
    return st;
}

static bw_status add_entry(bw_corrupted *c, const char *name, size_t length, const char *path)
{
    bw_status st = BW_OK;
    entry *more = NULL;
    if (c->count == c->room) {
        BW_TRY(BW_ALLOC(&more, 2 * c->room + 16));
        if (c->count) memcpy(more, c->entries, (size_t)c->count * sizeof *more);
        bw__free(c->entries);
        c->entries = more;
        c->room = 2 * c->room + 16;
    }
    entry *e = &c->entries[c->count++];
    BW_TRY(bw__strdup(&e->path, path));
    BW_TRY(bw__alloc((void **)&e->name, length + 1));
    memcpy(e->name, name, length);
out:
    return st;
}

static bw_status severity_path(char **out, const char *path, int severity)
{
    char number[8];
    (void)snprintf(number, sizeof number, "%d", severity);
    return bw__path_join(out, path, number);
}

/* A folder is a corruption if one of its severities is there. */
static bool is_corruption(const char *path)
{
    for (int s = 1; s <= BW_SEVERITIES; s++) {
        char *folder = NULL;
        bool found = severity_path(&folder, path, s) == BW_OK && bw__path_is_folder(folder);
        bw__free(folder);
        if (found) return true;
    }
    return false;
}

/* Adds the corruptions that are folders of `path`; and where `groups` holds, those of its other folders. */
static bw_status find_folders(bw_corrupted *c, const char *path, bool groups)
{
    bw_status st = BW_OK;
    name_list names;
    char *below = NULL;
    BW_TRY(list_names(&names, path));
    for (int i = 0; i < names.count; i++) {
        const int had = c->count;
        bw__free(below);
        BW_TRY(bw__path_join(&below, path, names.names[i]));
        if (bw__path_is_folder(below)) {
            if (is_corruption(below))
                BW_TRY(add_entry(c, names.names[i], strlen(names.names[i]), below));
            else if (groups)
                BW_TRY(find_folders(c, below, false));
        }
        if (groups && c->count == had)
            bw_log(BW_LOG_WARN, "%s: neither a corruption (folders 1 to %d) nor a group of them; passed over",
                   below, BW_SEVERITIES);
    }
out:
    bw__free(below);
    clear_names(&names);
    return st;
}

static const char NPY[] = ".npy", LABELS[] = "labels.npy";

static size_t npy_stem(const char *name)
{
    const size_t n = strlen(name), ending = sizeof NPY - 1;
    return n > ending && strcmp(name + n - ending, NPY) == 0 ? n - ending : 0;
}

static bw_status find_arrays(bw_corrupted *c, const name_list *names)
{
    bw_status st = BW_OK;
    char *path = NULL;
    bool labels = false;
    for (int i = 0; i < names->count; i++) {
        const char *name = names->names[i];
        bw__free(path);
        BW_TRY(bw__path_join(&path, c->path, name));
        if (strcmp(name, LABELS) == 0)
            labels = true;
        else if (npy_stem(name) && bw__path_is_file(path))
            BW_TRY(add_entry(c, name, npy_stem(name), path));
        else
            bw_log(BW_LOG_WARN, "%s: not an .npy file beside others; passed over", path);
    }
    if (!labels)
        st = bw_fail(BW_EDATA, "%s: no %s there, which says the classes of the images in the .npy files",
                     c->path, LABELS);
out:
    bw__free(path);
    return st;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

bw_status bw__corrupted_open(bw_corrupted **out, const char *path)
{
    bw_status st = BW_OK;
    bw_corrupted *c = NULL;
    name_list names = { 0 };
    *out = NULL;
    BW_TRY(BW_ALLOC(&c, 1));
    BW_TRY(bw__strdup(&c->path, path));
    BW_TRY(list_names(&names, path));
    for (int i = 0; i < names.count; i++)
        c->arrays = c->arrays || npy_stem(names.names[i]) > 0;
    if (c->arrays)
        BW_TRY(find_arrays(c, &names));
    else
        BW_TRY(find_folders(c, path, true));
    if (c->count == 0)
        BW_TRY(bw_fail(
            BW_EDATA,
            "%s: no corrupted images there; it must hold folders NAME/1 to NAME/%d, as ImageNet-C, or "
            "files NAME.npy, as CIFAR-10-C",
            path, BW_SEVERITIES));
    qsort(c->entries, (size_t)c->count, sizeof *c->entries, compare_entries);
    *out = c;
    c = NULL;
out:
    clear_names(&names);
    bw__corrupted_free(c);
    return st;
}

void bw__corrupted_free(bw_corrupted *c)
{
    if (!c) return;
    for (int i = 0; i < c->count; i++) {
        bw__free(c->entries[i].name);
        bw__free(c->entries[i].path);
    }
    bw__free(c->entries);
    bw__free(c->path);
    bw__free(c);
}

int bw__corrupted_count(const bw_corrupted *c)
{
    return c->count;
}

const char *bw__corrupted_name(const bw_corrupted *c, int index)
{
    return c->entries[index].name;
}

int bw__corrupted_has_numbers(const bw_corrupted *c)
{
    return c->arrays;
}

/* --- arrays --- */

typedef struct array_file {
    bw_blob blob;
    size_t start; /* of the pixels */
    int64_t images, height, width;
} array_file;

static bw_status map_array(array_file *a, const char *path)
{
    bw_status st = BW_OK;
    bw_npy_dtype dtype;
    int ndim;
    int64_t shape[8];
    *a = (array_file){ 0 };
    BW_TRY(bw__blob_map(&a->blob, path));
    const char *wrong = bw__npy_parse(&a->start, &dtype, &ndim, shape, a->blob.data, a->blob.size);
    if (wrong) BW_TRY(bw_fail(BW_EDATA, "%s: %s", path, wrong));
    if (dtype != BW_NPY_U8 || ndim != 4 || shape[3] != 3 || shape[1] < 1 || shape[2] < 1)
        BW_TRY(
            bw_fail(BW_EDATA, "%s: not an array of images, [n, height, width, 3] of unsigned bytes", path));
    if (shape[0] < BW_SEVERITIES || shape[0] % BW_SEVERITIES != 0)
        BW_TRY(bw_fail(BW_EDATA, "%s: %lld images, which are not %d severities of equally many", path,
                       (long long)shape[0], BW_SEVERITIES));
    a->images = shape[0];
    a->height = shape[1];
    a->width = shape[2];
out:
    if (st != BW_OK) bw__blob_close(&a->blob);
    return st;
}

/* Labels of the `n` images of one severity, and the classes they need. */
static bw_status read_labels(bw_dataset *dataset, const bw_corrupted *c, int64_t n, int severity)
{
    bw_status st = BW_OK;
    char *path = NULL;
    void *data = NULL;
    bw_npy_dtype dtype;
    int ndim;
    int64_t shape[8], classes = 0;
    BW_TRY(bw__path_join(&path, c->path, LABELS));
    BW_TRY(bw__npy_read(&data, &dtype, &ndim, shape, path));
    if (ndim != 1 || (dtype != BW_NPY_U8 && dtype != BW_NPY_I64))
        BW_TRY(bw_fail(BW_EDATA, "%s: not a list of labels, [n] of unsigned bytes or 64-bit integers", path));
    if (shape[0] != n && shape[0] != n * BW_SEVERITIES)
        BW_TRY(bw_fail(BW_EDATA, "%s: %lld labels for %lld images of each of %d severities", path,
                       (long long)shape[0], (long long)n, BW_SEVERITIES));
    const int64_t first = shape[0] == n ? 0 : (severity - 1) * n;
    BW_TRY(BW_ALLOC(&dataset->labels, n));
    for (int64_t i = 0; i < n; i++) {
        int64_t label =
            dtype == BW_NPY_U8 ? ((const uint8_t *)data)[first + i] : ((const int64_t *)data)[first + i];
        if (label < 0 || label > UINT16_MAX)
            BW_TRY(bw_fail(BW_EDATA, "%s: label %lld of image %lld is no class", path, (long long)label,
                           (long long)(first + i)));
        dataset->labels[i] = (int32_t)label;
        if (label >= classes) classes = label + 1;
    }
    st = bw__dataset_set_classes(dataset, NULL, (int)classes);
out:
    bw__free(data);
    bw__free(path);
    return st;
}

static const bw_data_format corrupted_format = { "corrupted", "severity of CIFAR-10-C", NULL, NULL };

static bw_status open_array(bw_dataset **out, const bw_corrupted *c, int index, int severity)
{
    bw_status st = BW_OK;
    bw_dataset *dataset = NULL;
    array_file a = { 0 };
    BW_TRY(map_array(&a, c->entries[index].path));
    const size_t row = (size_t)a.width * 3, image = (size_t)a.height * row;
    const int64_t n = a.images / BW_SEVERITIES;
    const bw_record_layout layout = { a.height, a.width, row, 3, 1 };
    BW_TRY(BW_ALLOC(&dataset, 1));
    dataset->format = &corrupted_format;
    BW_TRY(bw__records_create(dataset, &layout, 1));
    BW_TRY(bw__records_add(dataset, &a.blob, bw__path_base(c->entries[index].path),
                           a.start + (size_t)((severity - 1) * n) * image, image, n));
    BW_TRY(read_labels(dataset, c, n, severity));
    *out = dataset;
    dataset = NULL;
out:
    bw__blob_close(&a.blob);
    bw_dataset_free(dataset);
    return st;
}

/* --- both --- */

bw_status bw__corrupted_check(const bw_corrupted *c, int index)
{
    const char *path = c->entries[index].path;
    if (c->arrays) {
        array_file a;
        bw_status st = map_array(&a, path);
        if (st == BW_OK) bw__blob_close(&a.blob);
        return st;
    }
    for (int s = 1; s <= BW_SEVERITIES; s++) {
        char *folder = NULL;
        bw_status st = severity_path(&folder, path, s);
        const bool there = st == BW_OK && bw__path_is_folder(folder);
        bw__free(folder);
        if (st != BW_OK) return st;
        if (!there)
            return bw_fail(BW_EDATA, "%s: severity %d is missing; 1 to %d are needed", path, s,
                           BW_SEVERITIES);
    }
    return BW_OK;
}

bw_status bw__corrupted_images(bw_dataset **out, const bw_corrupted *c, int index, int severity)
{
    bw_status st = BW_OK;
    char *path = NULL;
    *out = NULL;
    if (c->arrays) return open_array(out, c, index, severity);
    BW_TRY(severity_path(&path, c->entries[index].path, severity));
    BW_TRY(bw_dataset_open(out, path, BW_SPLIT_ANY, "class-folders"));
out:
    bw__free(path);
    return st;
}
