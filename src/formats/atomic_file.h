/* Files that are whole or not there: written under a temporary name in the same folder, flushed, fsynced,
 * renamed, the folder fsynced. Used by every writer whose readers expect a whole file. */
#ifndef BW_FORMATS_ATOMIC_FILE_H
#define BW_FORMATS_ATOMIC_FILE_H
#include "base/error.h"
#include <stdio.h>

typedef struct bw_atomic_file {
    FILE *stream; /* write here; errors are found at commit */
    char *path, *temporary;
} bw_atomic_file;

BW_MUST_CHECK
bw_status bw__atomic_open(bw_atomic_file *file, const char *path);
/* BW_EIO names the path and the system's reason; the temporary file is removed. */
BW_MUST_CHECK
bw_status bw__atomic_commit(bw_atomic_file *file);
/* Removes the temporary file; a no-op after commit. */
void bw__atomic_abandon(bw_atomic_file *file);
#endif
