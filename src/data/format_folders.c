/* Folders of image files: one folder a class, or no labels. include/blockwise/dataset.h says how the two
 * are told apart. */
#include "data/files.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum folder_kind { FOLDER_AUTO, FOLDER_CLASSES, FOLDER_PLAIN } folder_kind;

/* What decides whether a folder is one of splits. */
typedef struct split_names {
    bool train, val, test, other_folders, images;
} split_names;

static bw_status look_for_splits(split_names *out, const char *path)
{
    DIR *dir = opendir(path);
    *out = (split_names){ 0 };
    if (!dir) return bw_fail(BW_EIO, "%s: cannot read the folder: %s", path, strerror(errno));
    bw_status st = BW_OK;
    for (struct dirent *e; st == BW_OK && (e = readdir(dir));) {
        char *name = NULL;
        if (e->d_name[0] == '.') continue;
        if (bw__files_is_image_name(e->d_name)) {
            out->images = true;
            break;
        }
        st = bw__path_join(&name, path, e->d_name);
        if (st == BW_OK && bw__path_is_folder(name)) {
            if (strcmp(e->d_name, "train") == 0)
                out->train = true;
            else if (strcmp(e->d_name, "val") == 0)
                out->val = true;
            else if (strcmp(e->d_name, "test") == 0)
                out->test = true;
            else
                out->other_folders = true;
        }
        bw__free(name);
    }
    closedir(dir);
    return st;
}

/* The subfolder of a split; "" where the folder has no splits. BW_ENOSPLIT if it lacks the wanted one. */
static bw_status choose_split(const char **prefix, const char *path, bw_split split)
{
    split_names names;
    bw_status st = look_for_splits(&names, path);
    *prefix = "";
    if (st != BW_OK) return st;
    const char *test = names.val ? "val" : names.test ? "test" : NULL;
    bool has_splits =
        !names.images && ((names.train && test) || ((names.train || test) && !names.other_folders));
    if (split == BW_SPLIT_TEST && !(has_splits && test)) return bw__fail_no_split(path, split);
    if (!has_splits) return BW_OK;
    if (split == BW_SPLIT_TRAIN && !names.train) return bw__fail_no_split(path, split);
    *prefix = split == BW_SPLIT_TRAIN || !test ? "train" : test;
    return BW_OK;
}

static size_t first_length(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? (size_t)(slash - name) : 0;
}

/* Length of the first folder below the prefix if image i begins another one than image i - 1, else 0. */
static size_t new_class(const bw_files *files, int64_t i, size_t start)
{
    const char *name = files->names[i] + start;
    size_t n = first_length(name);
    if (i == 0) return n;
    const char *before = files->names[i - 1] + start;
    return first_length(before) == n && memcmp(before, name, n) == 0 ? 0 : n;
}

/* Every image lies in a folder, and each of these has images of its own, not only folders of them. The
 * order of the scan puts an image directly in a class before those in its subfolders. */
static bool are_classes(const bw_files *files, size_t start)
{
    for (int64_t i = 0; i < files->count; i++) {
        const char *name = files->names[i] + start;
        if (first_length(name) == 0) return false;
        size_t n = new_class(files, i, start);
        if (n && strchr(name + n + 1, '/')) return false;
    }
    return true;
}

/* Classes of the images scanned, in order, and their labels. */
static bw_status label_by_folder(bw_dataset *dataset, size_t start)
{
    bw_status st = BW_OK;
    bw_files *files = dataset->source;
    int64_t classes = 0;
    char **names = NULL, *pool = NULL, *p;
    BW_TRY(BW_ALLOC(&dataset->labels, files->count));
    for (int64_t i = 0; i < files->count; i++)
        classes += new_class(files, i, start) > 0;
    BW_TRY(BW_ALLOC(&names, classes));
    BW_TRY(BW_ALLOC(&pool, files->pool_bytes));
    p = pool;
    classes = 0;
    for (int64_t i = 0; i < files->count; i++) {
        size_t n = new_class(files, i, start);
        if (n) {
            memcpy(p, files->names[i] + start, n);
            names[classes++] = p;
            p += n + 1;
        }
        dataset->labels[i] = (int32_t)classes - 1;
    }
    BW_TRY(bw__dataset_set_classes(dataset, (const char *const *)names, (int)classes));
out:
    bw__free(pool);
    bw__free(names);
    return st;
}

/* The test split of a folder with splits numbers its classes as the training split does. */
static bw_status number_as_in_train(bw_dataset *dataset, const char *path, const char *prefix)
{
    bw_status st = BW_OK;
    bw_dataset train = { 0 };
    BW_TRY(bw__files_create(&train, path));
    BW_TRY(bw__files_scan(&train, "train"));
    if (train.size == 0 || !are_classes(train.source, strlen("train/"))) goto out;
    BW_TRY(label_by_folder(&train, strlen("train/")));
    BW_TRY(bw_dataset_match_classes(dataset, &train));
out:
    bw__dataset_close(&train);
    return st == BW_EDATA ? bw_fail_prefix(st, "%s/%s", path, prefix) : st;
}

static bw_status fail_no_images(const char *path, const char *prefix, const bw_files *files)
{
    const char *slash = *prefix ? "/" : "";
    if (files->others)
        return bw_fail(BW_EDATA,
                       "%s%s%s: no images found: %lld files, but none is named .jpg, .jpeg, .png or .webp",
                       path, slash, prefix, (long long)files->others);
    return bw_fail(BW_EDATA, "%s%s%s: no images found: the folder is empty", path, slash, prefix);
}

static bw_status open_folder(bw_dataset *dataset, const char *path, bw_split split, folder_kind kind)
{
    bw_status st = BW_OK;
    const char *prefix;
    if (!bw__path_is_folder(path))
        return bw_fail(BW_EDATA, "%s: not a folder; give the folder that holds the images", path);
    BW_TRY(choose_split(&prefix, path, split));
    BW_TRY(bw__files_create(dataset, path));
    BW_TRY(bw__files_scan(dataset, prefix));
    bw_files *files = dataset->source;
    size_t start = *prefix ? strlen(prefix) + 1 : 0;
    if (files->count == 0) return fail_no_images(path, prefix, files);
    bool classes = kind != FOLDER_PLAIN && are_classes(files, start);
    if (kind == FOLDER_CLASSES && first_length(files->names[0] + start) == 0)
        return bw_fail(BW_EDATA, "%s: %s lies in no class folder; move it, or take --format folder", path,
                       files->names[0]);
    dataset->format = classes || kind == FOLDER_CLASSES ? &bw__format_class_folders : &bw__format_folder;
    if (dataset->format == &bw__format_folder) goto out;
    BW_TRY(label_by_folder(dataset, start));
    if (*prefix && strcmp(prefix, "train") != 0) BW_TRY(number_as_in_train(dataset, path, prefix));
out:
    return st;
}

static bool class_folders_looks_like(const char *path, bool is_folder)
{
    (void)path;
    return is_folder;
}

static bw_status class_folders_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    return open_folder(dataset, path, split, forced ? FOLDER_CLASSES : FOLDER_AUTO);
}

static bool folder_looks_like(const char *path, bool is_folder)
{
    (void)path;
    return is_folder;
}

static bw_status folder_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    (void)forced;
    return open_folder(dataset, path, split, FOLDER_PLAIN);
}

const bw_data_format bw__format_class_folders = {
    "class-folders", "one folder of images a class, as ImageFolder; train/ with val/ or test/ are splits",
    class_folders_looks_like, class_folders_open
};
const bw_data_format bw__format_folder = {
    "folder", "images without labels in a folder of any depth; train/ with val/ or test/ are splits",
    folder_looks_like, folder_open
};
