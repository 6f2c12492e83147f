/* Reading whole files. */
#ifndef BW_FORMATS_FILE_H
#define BW_FORMATS_FILE_H
#include "base/error.h"
#include <stddef.h>

/* The whole file in memory with a '\0' behind it; *out is released with bw__free(). BW_EIO: missing, a
 * folder, unreadable, or larger than `limit` bytes; the message names path and reason. */
BW_MUST_CHECK
bw_status bw__file_read(char **out, size_t *bytes, const char *path, size_t limit);
#endif
