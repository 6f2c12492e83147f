/* Which .tar files a path means. */
#ifndef BW_DATA_SHARD_LIST_H
#define BW_DATA_SHARD_LIST_H
#include "data/dataset_internal.h"

typedef struct bw_shard {
    char *path; /* as messages name it and as it is opened */
    int64_t bytes, mtime_s, mtime_ns;
} bw_shard;

typedef struct bw_shard_list {
    bw_shard *at; /* [n] in the order of the images */
    int64_t n, room;
    char *folder;     /* of the first shard, "" for the working folder */
    int64_t left_out; /* shards of the folder whose names belong to neither split */
} bw_shard_list;

void bw__shard_list_clear(bw_shard_list *list);

/* Whether the file or folder at `path` looks like shards: a file with a tar's name or a tar's mark, or a
 * folder, perhaps with train/ and val/ or test/, that holds .tar files and neither images nor other folders.
 */
bool bw__shard_list_looks_like(const char *path, bool is_folder);

/* Finds the shards of `path`: one file, a brace pattern, or a folder. In a folder, train/ and val/ or test/
 * are the splits, or the words train and val or test in the names of the shards; shards of a folder are in
 * bytewise order. BW_EDATA: shards of the pattern are missing, and which; an empty file; a compressed one; no
 * such split. */
BW_MUST_CHECK
bw_status bw__shard_list_find(bw_shard_list *out, const char *path, bw_split split);

/* The name of a shard in an index: behind the common folder, so that folders can be moved with their index.
 */
const char *bw__shard_name(const bw_shard_list *list, int64_t shard);
#endif
