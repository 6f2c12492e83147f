/* Finding keys by what a user wrote, and the listing of all keys. */
#include "base/nearest.h"
#include "formats/config_check.h"
#include "formats/config_schema.h"
#include <stdio.h>
#include <string.h>

enum { VIEW_PREFIX = 14 /* of "augment.view1." */ };
static const char SHORTHAND[] = "augment.";
static const char VIEW1[] = "augment.view1.";

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bw_key_match match_in_block(int block, const char *rest)
{
    int index = bw__key_find(rest);
    if (index < 0 || !bw__key_has_block_form(index)) return (bw_key_match){ .block = block };
    return (bw_key_match){ .n = 1, .index = { index }, .block = block };
}

bw_key_match bw__key_match(const char *path)
{
    char name[BW_KEY_NAME];
    const char *rest;
    int block;
    bw_key_match m = { .n = 1, .index = { bw__key_find(path) }, .block = BW_OF_RUN };
    if (m.index[0] >= 0) return m;
    m.n = 0;
    if (bw__block_path(&block, &rest, path) == BW_BLOCK_PATH_GOOD) return match_in_block(block, rest);
    if (!starts_with(path, SHORTHAND)) return m;
    for (int v = 0; v < BW_VIEWS; v++) {
        int n = snprintf(name, sizeof name, "augment.view%d.%s", v + 1, path + strlen(SHORTHAND));
        m.index[v] = n > 0 && n < BW_KEY_NAME ? bw__key_find(name) : -1;
        if (m.index[v] < 0) return m;
    }
    m.n = BW_VIEWS;
    return m;
}

bool bw__key_is_group(const char *path)
{
    const char *rest;
    int block;
    bool of_block = bw__block_path(&block, &rest, path) == BW_BLOCK_PATH_GOOD;
    if (strcmp(path, "blocks") == 0 || (of_block && *rest == '\0')) return true;
    size_t n = strlen(of_block ? rest : path);
    for (int i = 0; i < bw__keys(); i++) {
        const char *name = bw__key(i)->name;
        if (of_block && !bw__key_has_block_form(i)) continue;
        if (strncmp(name, of_block ? rest : path, n) == 0 && name[n] == '.') return true;
    }
    return false;
}

/* Of a name as written to a key: a name without its group ("lr") is compared to the keys' last words too, and
 * one without the last words of a key ("optimizer.decay") is near to it however long they are. */
static int key_distance(const char *path, const char *name)
{
    const char *last = strrchr(name, '.');
    size_t length = strlen(path);
    if (strncmp(path, name, length) == 0 && name[length] == '_') return 1;
    int whole = bw__word_distance(path, name);
    if (!last || strchr(path, '.')) return whole;
    int part = bw__word_distance(path, last + 1);
    return part < whole ? part : whole;
}

/* Of those that have a form for blocks, if `of_block`. */
static void nearest_key(char out[BW_KEY_NAME], const char *path, bool of_block)
{
    int best = -1;
    for (int i = 0; i < bw__keys(); i++) {
        const char *name = bw__key(i)->name;
        if (of_block && !bw__key_has_block_form(i)) continue;
        char both[BW_KEY_NAME];
        int d = key_distance(path, name);
        if (best < 0 || d < best) {
            best = d;
            (void)snprintf(out, BW_KEY_NAME, "%s", name);
        }
        if (!starts_with(name, VIEW1)) continue;
        (void)snprintf(both, sizeof both, "%s%s", SHORTHAND, name + VIEW_PREFIX);
        d = key_distance(path, both);
        if (d < best) {
            best = d;
            (void)snprintf(out, BW_KEY_NAME, "%s", both);
        }
    }
}

#define BLOCK_GROUPS "head, projector, loss, noise and optimizer"
#define BLOCK_FORM   "blocks[k].KEY, as in blocks[2].head.pool"

/* Why a path that begins with blocks names nothing. `shown` is fit for a message. */
static bw_status unknown_in_block(const char *shown, bw_block_path kind, int block, const char *rest)
{
    char nearest[BW_KEY_NAME];
    if (kind == BW_BLOCK_PATH_BAD)
        return bw_fail(BW_EINVAL, "'%s': settings of single blocks are written " BLOCK_FORM, shown);
    if (kind == BW_BLOCK_PATH_OUT)
        return bw_fail(BW_EINVAL, "'%s': blocks are counted from 1 to at most %d", shown, BW_MAX_BLOCKS);
    if (*rest == '\0' || bw__key_is_group(shown))
        return bw_fail(BW_EINVAL, "'%s' is a group of keys and takes no value of its own; write '%s.KEY'",
                       shown, shown);
    bw_key_match of_run = bw__key_match(rest);
    if (of_run.n > 0 || bw__key_is_group(rest))
        return bw_fail(BW_EINVAL, "'%s': %s has no value of its own for single blocks; " BLOCK_GROUPS " have",
                       shown, rest);
    nearest_key(nearest, rest, true);
    return bw_fail(BW_EINVAL, "unknown key '%s'; did you mean 'blocks[%d].%s'?", shown, block + 1, nearest);
}

bw_status bw__key_unknown(const char *path)
{
    char nearest[BW_KEY_NAME], shown[BW_KEY_NAME];
    const char *rest;
    int block;
    (void)snprintf(shown, sizeof shown, "%s", path);
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
    bw_block_path kind = bw__block_path(&block, &rest, shown);
    if (kind != BW_BLOCK_PATH_NONE) return unknown_in_block(shown, kind, block, rest);
    if (bw__key_is_group(path))
        return bw_fail(BW_EINVAL, "'%s' is a group of keys and takes no value of its own; write '%s.KEY'",
                       path, path);
    if (strchr(shown, '['))
        return bw_fail(BW_EINVAL, "unknown key '%s'; only " BLOCK_FORM ", has brackets", shown);
    nearest_key(nearest, shown, false);
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
    case BW_KEY_WORD:
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
    bw__config_used_with(key->used_with, sizeof key->used_with, index);
    return true;
}

bool bw_config_is_set(const bw_config *config, const char *key)
{
    bw_key_match m = bw__key_match(key);
    bool set = m.n > 0;
    for (int i = 0; i < m.n; i++)
        set = set && bw__key_is_set(config, m.index[i], m.block);
    return set;
}
