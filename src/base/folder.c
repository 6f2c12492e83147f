#include "base/folder.h"
#include "base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bw_status bw__folder_file(char **out, const char *folder, const char *name)
{
    size_t n = strlen(folder), bytes = n + strlen(name) + 2;
    const char *slash = n > 0 && folder[n - 1] == '/' ? "" : "/";
    bw_status st = BW_ALLOC(out, bytes);
    if (st == BW_OK) (void)snprintf(*out, bytes, "%s%s%s", folder, slash, name);
    return st;
}

bw_status bw__folder_beside(char **out, const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    size_t folder = slash ? (size_t)(slash - file) + 1 : 0, bytes = folder + strlen(name) + 1;
    bw_status st = BW_ALLOC(out, bytes);
    if (st == BW_OK) (void)snprintf(*out, bytes, "%.*s%s", (int)folder, file, name);
    return st;
}

static bw_status make_one(const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0) return BW_OK;
    int reason = errno;
    if (reason == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return BW_OK;
    return bw_fail(BW_EIO, "%s: cannot create the folder: %s", path, strerror(reason));
}

bw_status bw__folder_make(const char *path)
{
    char *part = NULL;
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return BW_OK;
    bw_status st = bw__strdup(&part, path);
    /* From the top down; parts that are there are left alone. */
    for (char *p = part; st == BW_OK && p && *p; p++) {
        if (*p != '/' || p == part) continue;
        *p = '\0';
        if (stat(part, &info) != 0) st = make_one(part);
        *p = '/';
    }
    if (st == BW_OK) st = make_one(path);
    bw__free(part);
    return st;
}
