/* Names and folders. */
#ifndef BW_BASE_FOLDER_H
#define BW_BASE_FOLDER_H
#include "base/error.h"

/* "folder/name"; the caller owns it, bw__free(). */
BW_MUST_CHECK
bw_status bw__folder_file(char **out, const char *folder, const char *name);
/* `name` in the folder that `file` is in; the caller owns it, bw__free(). */
BW_MUST_CHECK
bw_status bw__folder_beside(char **out, const char *file, const char *name);
/* The folder and those above it that are missing; BW_OK if it is there. BW_EIO names what failed. */
BW_MUST_CHECK
bw_status bw__folder_make(const char *path);
#endif
