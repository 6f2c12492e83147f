/* STL-10 binaries (cs.stanford.edu/~acoates/stl10): 96 x 96 pixels, all red, all green, all blue, each colour
 * column by column; labels 1 to 10 in a file of their own. */
#include "data/records.h"
#include <string.h>

#define SIDE        96
#define PLANE_BYTES ((size_t)SIDE * SIDE)
#define CLASSES     10

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && strcmp(name + n - m, ending) == 0;
}

static bool has_file(const char *folder, const char *name)
{
    char *path = NULL;
    bool found = bw__path_join(&path, folder, name) == BW_OK && bw__path_is_file(path);
    bw__free(path);
    return found;
}

static bw_status add_images(bw_dataset *dataset, const char *folder, const char *name)
{
    bw_status st = BW_OK;
    bw_blob blob = { 0 };
    char *path = NULL;
    BW_TRY(bw__path_join(&path, folder, name));
    BW_TRY(bw__blob_map(&blob, path));
    if (blob.size == 0 || blob.size % (3 * PLANE_BYTES) != 0) {
        st = bw_fail(BW_EDATA,
                     "%s: %zu bytes, but an image of STL-10 has %zu; the file is truncated or another kind",
                     path, blob.size, 3 * PLANE_BYTES);
        goto out;
    }
    int64_t count = (int64_t)(blob.size / (3 * PLANE_BYTES));
    BW_TRY(bw__records_add(dataset, &blob, name, 0, 3 * PLANE_BYTES, count));
out:
    bw__blob_close(&blob);
    bw__free(path);
    return st;
}

/* Labels of the first part, from the file beside it; every other part has none. */
static bw_status read_labels(bw_dataset *dataset, const char *folder)
{
    bw_status st = BW_OK;
    const bw_records *records = dataset->source;
    const bw_record_part *part = &records->parts[0];
    char *path = NULL;
    bw_blob blob = { 0 };
    BW_TRY(bw__path_join(&path, folder, part->name));
    size_t n = strlen(path);
    if (!ends_with(path, "_X.bin")) goto out;
    path[n - strlen("X.bin")] = 'y';
    if (!bw__path_is_file(path)) goto out;
    BW_TRY(bw__blob_map(&blob, path));
    if (blob.size != (size_t)part->count) {
        st = bw_fail(BW_EDATA, "%s holds %zu labels, but %s %lld images; they do not belong together", path,
                     blob.size, part->name, (long long)part->count);
        goto out;
    }
    BW_TRY(BW_ALLOC(&dataset->labels, dataset->size));
    for (int64_t i = 0; i < dataset->size; i++) {
        int label = i < part->count ? blob.data[i] : 0;
        if (i < part->count && (label < 1 || label > CLASSES)) {
            st = bw_fail(BW_EDATA, "%s: label %d of image %lld is not in 1 to %d", path, label, (long long)i,
                         CLASSES);
            goto out;
        }
        dataset->labels[i] = label - 1;
    }
    BW_TRY(bw__dataset_name_classes(dataset, folder, "class_names.txt", CLASSES));
out:
    bw__blob_close(&blob);
    bw__free(path);
    return st;
}

static bool stl10_looks_like(const char *path, bool is_folder)
{
    if (!is_folder) return ends_with(path, "_X.bin");
    return has_file(path, "train_X.bin") || has_file(path, "test_X.bin") || has_file(path, "unlabeled_X.bin");
}

static bw_status stl10_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    (void)forced;
    bw_status st = BW_OK;
    const char *names[2];
    char *folder = NULL;
    int n = 0;
    if (bw__path_is_folder(path)) {
        BW_TRY(bw__strdup(&folder, path));
        if (split != BW_SPLIT_TRAIN && has_file(path, "test_X.bin")) names[n++] = "test_X.bin";
        if (split == BW_SPLIT_TRAIN || (split == BW_SPLIT_ANY && n == 0)) {
            if (has_file(path, "train_X.bin")) names[n++] = "train_X.bin";
            if (has_file(path, "unlabeled_X.bin")) names[n++] = "unlabeled_X.bin";
        }
    } else {
        BW_TRY(bw__path_folder(&folder, path));
        if (split != BW_SPLIT_TEST) names[n++] = bw__path_base(path);
    }
    if (n == 0) BW_TRY(bw__fail_no_split(path, split));
    bw_record_layout layout = { SIDE, SIDE, 1, SIDE, PLANE_BYTES };
    BW_TRY(bw__records_create(dataset, &layout, n));
    for (int i = 0; i < n; i++)
        BW_TRY(add_images(dataset, folder, names[i]));
    BW_TRY(read_labels(dataset, folder));
out:
    bw__free(folder);
    return st;
}

const bw_data_format bw__format_stl10 = {
    "stl10",
    "STL-10 binaries, or the folder that holds them; unlabeled_X.bin adds training images without labels",
    stl10_looks_like, stl10_open
};
