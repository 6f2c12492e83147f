/* Writes tar archives, with libarchive, the same bytes whenever and wherever: no time, user or host in them.
 * They are written under a hidden name in the folder where they will be, and renamed by
 * bw__tar_files_commit(). */
#ifndef BW_DATA_TAR_WRITE_H
#define BW_DATA_TAR_WRITE_H
#include "base/memory.h"
#include <stdbool.h>

struct archive;

typedef struct bw_written {
    char *path, *aside;
    bool renamed;
} bw_written;

/* Files that become visible together or not at all. */
typedef struct bw_tar_files {
    bw_written *at; /* [n] */
    int64_t n, room;
    struct archive *archive; /* the one that is being written */
    int fd;                  /* its file, or a text's; -1: none */
    int failed;              /* errno of the first write that failed; what follows it is dropped */
    int64_t bytes;           /* in it so far */
} bw_tar_files;
#define BW_TAR_FILES_NONE ((bw_tar_files){ .fd = -1 }) /* to begin with */

/* Begins the archive `path`. BW_EIO. */
BW_MUST_CHECK
bw_status bw__tar_files_begin(bw_tar_files *files, const char *path);
BW_MUST_CHECK
bw_status bw__tar_files_add(bw_tar_files *files, const char *name, const void *bytes, size_t size);
/* Ends it: all its bytes are on the disk then. */
BW_MUST_CHECK
bw_status bw__tar_files_end(bw_tar_files *files);
/* A file of its own. */
BW_MUST_CHECK
bw_status bw__tar_files_text(bw_tar_files *files, const char *path, const char *text, size_t size);
/* Gives all files their names. BW_EEXIST: one is there already; then, and after BW_EIO, none has its name. */
BW_MUST_CHECK
bw_status bw__tar_files_commit(bw_tar_files *files);
/* Removes what is not committed, and releases all. */
void bw__tar_files_clear(bw_tar_files *files);
#endif
