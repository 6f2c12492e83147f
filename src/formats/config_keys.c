/* Finding keys by what a user wrote, and the listing of all keys. */
#include "formats/config_schema.h"
#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 96, VIEW_PREFIX = 14 /* of "augment.view1." */ };
static const char SHORTHAND[] = "augment.";
static const char VIEW1[] = "augment.view1.";

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

int bw__key_match(int index[BW_VIEWS], const char *path)
{
    char name[NAME_ROOM];
    index[0] = bw__key_find(path);
    if (index[0] >= 0) return 1;
    if (!starts_with(path, SHORTHAND)) return 0;
    for (int v = 0; v < BW_VIEWS; v++) {
        int n = snprintf(name, sizeof name, "augment.view%d.%s", v + 1, path + strlen(SHORTHAND));
        index[v] = n > 0 && n < NAME_ROOM ? bw__key_find(name) : -1;
        if (index[v] < 0) return 0;
    }
    return BW_VIEWS;
}

bool bw__key_is_group(const char *path)
{
    size_t n = strlen(path);
    for (int i = 0; i < bw__keys(); i++)
        if (strncmp(bw__key(i)->name, path, n) == 0 && bw__key(i)->name[n] == '.') return true;
    return false;
}

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance, row by row: how many letters must change, come or go. */
static int distance(const char *a, const char *b)
{
    int row[NAME_ROOM];
    int width = (int)strlen(b);
    for (int j = 0; j <= width; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= width; j++) {
            int above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[width];
}

/* Of a name as written to a key: a name without its group ("lr") is compared to the keys' last words too. */
static int key_distance(const char *path, const char *name)
{
    const char *last = strrchr(name, '.');
    int whole = distance(path, name);
    if (!last || strchr(path, '.')) return whole;
    int part = distance(path, last + 1);
    return part < whole ? part : whole;
}

static void nearest_key(char out[NAME_ROOM], const char *path)
{
    int best = -1;
    for (int i = 0; i < bw__keys(); i++) {
        const char *name = bw__key(i)->name;
        char both[NAME_ROOM];
        int d = key_distance(path, name);
        if (best < 0 || d < best) {
            best = d;
            (void)snprintf(out, NAME_ROOM, "%s", name);
        }
        if (!starts_with(name, VIEW1)) continue;
        (void)snprintf(both, sizeof both, "%s%s", SHORTHAND, name + VIEW_PREFIX);
        d = key_distance(path, both);
        if (d < best) {
            best = d;
            (void)snprintf(out, NAME_ROOM, "%s", both);
        }
    }
}

bw_status bw__key_unknown(const char *path)
{
    char nearest[NAME_ROOM], shown[NAME_ROOM];
    if (starts_with(path, "blocks[") || starts_with(path, "blocks.") || strcmp(path, "blocks") == 0)
        return bw_fail(BW_EINVAL,
                       "settings for single blocks (blocks[k].*) are not supported in this version; "
                       "head, projector, loss, noise and optimizer apply to every block");
    if (bw__key_is_group(path))
        return bw_fail(BW_EINVAL, "'%s' is a group of keys and takes no value of its own; write '%s.KEY'",
                       path, path);
    (void)snprintf(shown, sizeof shown, "%s", path);
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
    nearest_key(nearest, shown);
    return bw_fail(BW_EINVAL, "unknown key '%s'; did you mean '%s'?", shown, nearest);
}

static const char *type_name(const bw_key *key)
{
    switch (key->type) {
    case BW_KEY_REAL:
        return key->count > 0 ? "list of numbers" : "number";
    case BW_KEY_BOOL:
        return "boolean";
    case BW_KEY_ENUM:
        return "word";
    case BW_KEY_INTS:
        return "list of whole numbers";
    case BW_KEY_REALS:
        return "list of numbers";
    default:
        return "whole number";
    }
}

bool bw_config_key_at(bw_config_key *key, int index)
{
    char range[BW_KEY_TEXT];
    if (index < 0 || index >= bw__keys()) return false;
    const bw_key *k = bw__key(index);
    *key = (bw_config_key){ .name = k->name, .type = type_name(k), .help = k->help };
    bw__key_range(range, k);
    (void)snprintf(key->range, sizeof key->range, "%.*s", (int)sizeof key->range - 1, range);
    (void)snprintf(key->default_text, sizeof key->default_text, "%s", k->default_text);
    return true;
}

bool bw_config_is_set(const bw_config *config, const char *key)
{
    int index[BW_VIEWS];
    int n = bw__key_match(index, key);
    bool set = n > 0;
    for (int i = 0; i < n; i++)
        set = set && (config->is_set[index[i] / 64] >> (index[i] % 64) & 1) != 0;
    return set;
}
