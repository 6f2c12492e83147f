/* Files that are whole or not there: written under a temporary name in the same folder, flushed, fsynced,
 * renamed, the folder fsynced. Used by every writer whose readers expect a whole file.
 *
 * A process killed in between leaves PATH.tmp-PID behind, which nothing ever reads. */
#ifndef BW_FORMATS_ATOMIC_FILE_H
#define BW_FORMATS_ATOMIC_FILE_H
#include "base/error.h"
#include <stddef.h>
#include <stdio.h>

typedef struct bw_atomic_file {
    FILE *stream; /* write here; errors are found at commit */
    char *path, *temporary;
} bw_atomic_file;

/* BW_EIO: the folder cannot be written, or `path` is there and is not a regular file. *file is all zero
 * after a failure, so that bw__atomic_abandon() may follow in any case. */
BW_MUST_CHECK
bw_status bw__atomic_open(bw_atomic_file *file, const char *path);
/* BW_EIO names the path and the system's reason; the temporary file is removed. */
BW_MUST_CHECK
bw_status bw__atomic_commit(bw_atomic_file *file);
/* Removes the temporary file; a no-op after commit. */
void bw__atomic_abandon(bw_atomic_file *file);

/* Whether bw__atomic_open() has a chance, asked before hours of work whose result is to be written; BW_EIO as
 * there. A file at `path` is left alone. */
BW_MUST_CHECK
bw_status bw__atomic_try(const char *path);

/* All three in one: `path` becomes exactly these bytes, or stays as it was. */
BW_MUST_CHECK
bw_status bw__atomic_write(const char *path, const void *data, size_t bytes);
#endif
