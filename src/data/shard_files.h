/* Reads pieces of many shards with few open files: a shard is opened when something is read from it, and the
 * one that was not used for the longest time is closed for it. Safe from several threads at once. */
#ifndef BW_DATA_SHARD_FILES_H
#define BW_DATA_SHARD_FILES_H
#include "data/shard_list.h"

#define BW_OPEN_SHARDS 64

typedef struct bw_shard_files bw_shard_files;

/* `list` is borrowed. */
BW_MUST_CHECK
bw_status bw__shard_files_create(bw_shard_files **out, const bw_shard_list *list);
void bw__shard_files_free(bw_shard_files *files);

/* BW_EDATA: the shard is gone, has changed since the list was made, or ends too early. */
BW_MUST_CHECK
bw_status bw__shard_files_read(bw_shard_files *files, int64_t shard, int64_t offset, void *to, size_t bytes);

/* Shards open now. */
int bw__shard_files_open_count(bw_shard_files *files);

/* All `bytes` bytes at `offset` of a file. BW_EIO with the system's reason and no name. */
BW_MUST_CHECK
bw_status bw__read_at(int fd, int64_t offset, void *to, size_t bytes);
#endif
