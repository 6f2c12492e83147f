#include "cli/outputs.h"
#include "base/error.h"
#include "base/folder.h"
#include "base/memory.h"
#include "formats/atomic_file.h"
#include <string.h>
#include <sys/stat.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Files that are not there yet are the same where folder and name are. */
static bw_status same_file(bool *same, const char *a, const char *b)
{
    bw_status st = BW_OK;
    struct stat at_a, at_b;
    char *folder_a = NULL, *folder_b = NULL;
    const bool a_is = stat(a, &at_a) == 0, b_is = stat(b, &at_b) == 0;
    *same = a_is && b_is && same_inode(&at_a, &at_b);
    if (a_is || b_is || strcmp(base_name(a), base_name(b)) != 0) return BW_OK;
    BW_TRY(bw__folder_beside(&folder_a, a, "."));
    BW_TRY(bw__folder_beside(&folder_b, b, "."));
    *same = stat(folder_a, &at_a) == 0 && stat(folder_b, &at_b) == 0 && same_inode(&at_a, &at_b);
out:
    bw__free(folder_a);
    bw__free(folder_b);
    return st;
}

bw_status cli_outputs_differ(const cli_file *outputs, int n, const cli_file *inputs, int m)
{
    for (int i = 0; i < n; i++) {
        const cli_file *own = &outputs[i];
        for (int j = 0; own->path && j < i + m; j++) {
            const cli_file *other = j < i ? &outputs[j] : &inputs[j - i];
            bool same = false;
            bw_status st = other->path ? same_file(&same, own->path, other->path) : BW_OK;
            if (st != BW_OK) return st;
            if (same)
                return bw_fail(BW_EINVAL,
                               "%s %s: the same file as %s, which would be lost; give another name",
                               own->name, own->path, other->name);
        }
    }
    return BW_OK;
}

bw_status cli_outputs_try(const cli_file *outputs, int n)
{
    bw_status st = BW_OK;
    for (int i = 0; st == BW_OK && i < n; i++)
        if (outputs[i].path) st = bw__atomic_try(outputs[i].path);
    return st;
}
