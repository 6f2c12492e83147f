#include "data/dataset_internal.h"
#include <string.h>
#include <sys/stat.h>

bw_status bw__path_join(char **out, const char *folder, const char *name)
{
    size_t nf = strlen(folder), nn = strlen(name);
    bool slash = nf > 0 && nn > 0 && folder[nf - 1] != '/';
    bw_status st = bw__alloc((void **)out, nf + nn + 2);
    if (st != BW_OK) return st;
    memcpy(*out, folder, nf);
    if (slash) (*out)[nf] = '/';
    memcpy(*out + nf + slash, name, nn);
    return BW_OK;
}

bw_status bw__path_folder(char **out, const char *path)
{
    bw_status st = bw__strdup(out, path);
    if (st != BW_OK) return st;
    char *slash = strrchr(*out, '/');
    if (!slash)
        **out = '\0';
    else
        slash[slash == *out] = '\0'; /* "/name" lies in "/" */
    return BW_OK;
}

const char *bw__path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool bw__path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool bw__path_is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}
