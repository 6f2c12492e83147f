/* "extends: NAME": the text that another one begins with. */
#include "base/memory.h"
#include "formats/config_source.h"
#include "formats/file.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const size_t FILE_LIMIT = 1 << 20;

bw_status bw__config_load_source(bw_config *config, const bw_config_source *source)
{
    char *text = NULL;
    size_t bytes = 0;
    bw_status st = bw__file_read(&text, &bytes, source->path, FILE_LIMIT);
    if (st == BW_OK) st = bw__config_load_text(config, source, "", text, bytes);
    bw__free(text);
    return st;
}

static bool is_file_name(const char *name)
{
    static const char EXTENSION[] = ".yaml";
    size_t n = strlen(name), e = sizeof EXTENSION - 1;
    return strchr(name, '/') || (n > e && strcmp(name + n - e, EXTENSION) == 0);
}

static bool same_file(const struct stat *a, const char *path)
{
    struct stat b;
    return stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* The file that `name` means in `source`. */
static bw_status find_file(char path[BW_PATH_ROOM], const char *name, const bw_config_source *source)
{
    const char *slash = source->path ? strrchr(source->path, '/') : NULL;
    if (!source->path)
        return bw_fail(BW_EINVAL,
                       "extends: '%s' is a file, which only another file can begin with; give a "
                       "recipe's name",
                       name);
    int folder = slash && name[0] != '/' ? (int)(slash - source->path) + 1 : 0;
    int n = snprintf(path, BW_PATH_ROOM, "%.*s%s", folder, source->path, name);
    if (n >= BW_PATH_ROOM) return bw_fail(BW_EINVAL, "extends: '%s' is too long", name);
    return BW_OK;
}

bw_status bw__config_extend(bw_config *config, const char *name, const bw_config_source *source)
{
    char path[BW_PATH_ROOM], origin[BW_PATH_ROOM];
    struct stat info;
    bw_status st = BW_OK;

    if (is_file_name(name)) {
        st = find_file(path, name, source);
        (void)snprintf(origin, sizeof origin, "%s", path);
    } else {
        if (!bw__recipe_find(path, name)) st = bw_fail_prefix(bw__recipe_unknown(name), "extends");
        (void)snprintf(origin, sizeof origin, "recipe %s", name);
    }
    if (st != BW_OK) return st;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return bw_fail(BW_EINVAL, "extends: there is no file %s", path);
    for (const bw_config_source *s = source; s; s = s->child)
        if (s->path && same_file(&info, s->path))
            return bw_fail(BW_EINVAL, "extends: '%s' leads back to itself; end the circle", name);
    const bw_config_source next = { .origin = origin, .path = path, .has_lines = true, .child = source };
    return bw__config_load_source(config, &next);
}
