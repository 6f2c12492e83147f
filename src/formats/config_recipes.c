/* Recipes: named configurations, one YAML file each. */
#define _GNU_SOURCE /* dladdr1 */
#include "base/nearest.h"
#include "formats/config_source.h"
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_RECIPES = 256, NAME_ROOM = sizeof((bw_recipe *)0)->name };
static const char EXTENSION[] = ".yaml";
/* Where recipes are looked for, in this order: the user's own, then those that came with the library. */
enum { FOLDERS = 2 };

/* The file that has this code: the shared library, or the program it is part of. False where the system does
 * not say. */
static bool own_file(char out[PATH_MAX])
{
    struct link_map *map = NULL;
    Dl_info info;
    int found = dladdr1(EXTENSION, &info, (void **)&map, RTLD_DL_LINKMAP);
    bool is_program = !found || !map || map->l_name[0] == '\0';
    return realpath(is_program ? "/proc/self/exe" : map->l_name, out) != NULL;
}

/* The recipes that came with the library, so that an installation may be moved as a whole: below share/ of
 * the build folder, of the prefix seen from its programs, and of the prefix seen from its libraries. A
 * program that has the library in it and lies elsewhere uses the installation. */
static void shipped_folder(char out[BW_PATH_ROOM])
{
    static const char *const FROM_OWN[] = { "share/blockwise/recipes", BW_RECIPES_FROM_BIN,
                                            BW_RECIPES_FROM_LIB };
    char file[PATH_MAX];
    char *slash = own_file(file) ? strrchr(file, '/') : NULL;
    for (size_t i = 0; slash && i < sizeof FROM_OWN / sizeof *FROM_OWN; i++) {
        int n = snprintf(out, BW_PATH_ROOM, "%.*s/%s", (int)(slash - file), file, FROM_OWN[i]);
        if (n < BW_PATH_ROOM && access(out, F_OK) == 0) return;
    }
    (void)snprintf(out, BW_PATH_ROOM, "%s", BW_RECIPES_INSTALLED);
}

/* "" where there is no such place. */
static void recipe_folder(char out[BW_PATH_ROOM], int index)
{
    const char *named = getenv("BLOCKWISE_RECIPES");
    if (index == 0)
        (void)snprintf(out, BW_PATH_ROOM, "%s", named ? named : "");
    else
        shipped_folder(out);
}

static bool is_recipe_name(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_", name[i])) return false;
    return n > 0 && n < NAME_ROOM;
}

/* Adds NAME of every NAME.yaml in `folder` that is not there yet. */
static int add_names(char names[][NAME_ROOM], int n, const char *folder)
{
    DIR *d = *folder ? opendir(folder) : NULL;
    if (!d) return n;
    for (struct dirent *e; n < MAX_RECIPES && (e = readdir(d));) {
        char name[sizeof e->d_name];
        (void)snprintf(name, sizeof name, "%s", e->d_name);
        char *dot = strrchr(name, '.');
        if (!dot || strcmp(dot, EXTENSION) != 0) continue;
        *dot = '\0';
        bool known = !is_recipe_name(name);
        for (int i = 0; i < n && !known; i++)
            known = strcmp(names[i], name) == 0;
        if (!known) memcpy(names[n++], name, strlen(name) + 1);
    }
    (void)closedir(d);
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int all_names(char names[MAX_RECIPES][NAME_ROOM])
{
    char folder[BW_PATH_ROOM];
    int n = 0;
    for (int i = 0; i < FOLDERS; i++) {
        recipe_folder(folder, i);
        n = add_names(names, n, folder);
    }
    qsort(names, (size_t)n, sizeof *names, by_name);
    return n;
}

bool bw__recipe_find(char path[BW_PATH_ROOM], const char *name)
{
    char folder[BW_PATH_ROOM];
    for (int i = 0; is_recipe_name(name) && i < FOLDERS; i++) {
        recipe_folder(folder, i);
        int n = snprintf(path, BW_PATH_ROOM, "%s/%s%s", folder, name, EXTENSION);
        if (*folder && n < BW_PATH_ROOM && access(path, F_OK) == 0) return true;
    }
    return false;
}

bw_status bw__recipe_unknown(const char *name)
{
    char names[MAX_RECIPES][NAME_ROOM], list[1024] = "";
    int n = all_names(names);
    for (int i = 0; i < n; i++) {
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    if (n == 0) {
        char folder[BW_PATH_ROOM];
        shipped_folder(folder);
        return bw_fail(BW_EINVAL,
                       "unknown recipe '%.60s'; there are none in %.400s; set BLOCKWISE_RECIPES to their "
                       "folder",
                       name, folder);
    }
    const char *all[MAX_RECIPES];
    for (int i = 0; i < n; i++)
        all[i] = names[i];
    const char *near = bw__nearest(name, all, n);
    return bw_fail(BW_EINVAL, "unknown recipe '%.60s'; there are: %s%s%s%s", name, list,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bw_status bw_config_load_recipe(bw_config *config, const char *name)
{
    char path[BW_PATH_ROOM], origin[NAME_ROOM + 16];
    if (!bw__recipe_find(path, name)) return bw__recipe_unknown(name);
    (void)snprintf(origin, sizeof origin, "recipe %s", name);
    const bw_config_source source = { .origin = origin, .path = path, .has_lines = true };
    return bw__config_load_source(config, &source);
}

/* The first line, if it is a comment. */
static void read_help(bw_recipe *recipe)
{
    char path[BW_PATH_ROOM];
    FILE *f = bw__recipe_find(path, recipe->name) ? fopen(path, "r") : NULL;
    if (!f) return;
    char line[sizeof recipe->help] = "";
    if (fgets(line, sizeof line, f) && line[0] == '#') {
        line[strcspn(line, "\r\n")] = '\0';
        size_t start = 1 + strspn(line + 1, " ");
        memcpy(recipe->help, line + start, strlen(line + start) + 1);
    }
    (void)fclose(f);
}

bool bw_recipe_at(bw_recipe *recipe, int index)
{
    char names[MAX_RECIPES][NAME_ROOM];
    if (index < 0 || index >= all_names(names)) return false;
    *recipe = (bw_recipe){ 0 };
    memcpy(recipe->name, names[index], NAME_ROOM);
    read_help(recipe);
    return true;
}
