/* Recipes: named configurations, one YAML file each. */
#include "formats/config_source.h"
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDERS = 4, MAX_RECIPES = 256, NAME_ROOM = sizeof((bw_recipe *)0)->name };
static const char EXTENSION[] = ".yaml";

/* Where recipes are looked for, in this order; "" where there is no such place. */
static void recipe_folder(char out[BW_PATH_ROOM], int index)
{
    const char *named[FOLDERS - 1] = { getenv("BLOCKWISE_RECIPES"), BW_RECIPES_SOURCE, BW_RECIPES_INSTALLED };
    out[0] = '\0';
    if (index < FOLDERS - 1) {
        if (named[index]) (void)snprintf(out, BW_PATH_ROOM, "%s", named[index]);
        return;
    }
    /* Beside the program, where an installation was moved as a whole. */
    ssize_t n = readlink("/proc/self/exe", out, BW_PATH_ROOM / 2);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash) (void)snprintf(slash, BW_PATH_ROOM / 2, "/../share/blockwise/recipes");
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
    if (n == 0)
        return bw_fail(BW_EINVAL,
                       "unknown recipe '%.60s'; there are none in %s; set BLOCKWISE_RECIPES to their "
                       "folder",
                       name, BW_RECIPES_INSTALLED);
    return bw_fail(BW_EINVAL, "unknown recipe '%.60s'; there are: %s", name, list);
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
