/* One image file, as of a program that wants the features of a photograph. */
#include "data/files.h"
#include <string.h>

static bool image_looks_like(const char *path, bool is_folder)
{
    return !is_folder && bw__files_is_image_name(path);
}

static bw_status image_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    (void)forced;
    bw_status st = BW_OK;
    char *folder = NULL;
    if (split == BW_SPLIT_TEST) return bw__fail_no_split(path, split);
    if (bw__path_is_folder(path)) return bw_fail(BW_EDATA, "%s: a folder, not an image file", path);
    const char *name = bw__path_base(path);
    BW_TRY(bw__path_folder(&folder, path));
    BW_TRY(bw__files_create(dataset, folder));
    BW_TRY(bw__files_add(dataset, name, strlen(name)));
    BW_TRY(bw__files_finish(dataset));
out:
    bw__free(folder);
    return st;
}

const bw_data_format bw__format_image = { "image", "one image file", image_looks_like, image_open };
