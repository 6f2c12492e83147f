/* Lists of images by their names. */
#include "base/memory.h"
#include "data/dataset_internal.h"
#include "data/subset.h"
#include "formats/atomic_file.h"
#include "formats/file.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_ROOM = 4096, LIST_LIMIT = 1 << 30 };

/* Names of all images, sorted by what is behind the last slash and then by all of it. */
typedef struct named {
    const char *name, *base;
    int64_t index;
} named;

typedef struct name_table {
    named *at; /* [n] */
    char *pool;
    int64_t n;
} name_table;

static int compare_named(const void *pa, const void *pb)
{
    const named *a = pa, *b = pb;
    const int c = strcmp(a->base, b->base);
    return c ? c : strcmp(a->name, b->name);
}

static void clear_table(name_table *t)
{
    bw__free(t->at);
    bw__free(t->pool);
    *t = (name_table){ 0 };
}

/* Puts the names of all images one behind the other into the pool. Each is asked once: a program's own
 * source, or a shard that is being damaged, may answer differently the next time. */
static bw_status fill_pool(name_table *t, const bw_dataset *dataset)
{
    char name[NAME_ROOM];
    size_t bytes = 0, room = 0;
    for (int64_t i = 0; i < t->n; i++) {
        bw_dataset_name(dataset, i, name, sizeof name);
        const size_t length = strlen(name) + 1;
        if (room - bytes < length) {
            char *larger;
            room = 2 * room + NAME_ROOM;
            bw_status st = bw__alloc_untouched((void **)&larger, room);
            if (st != BW_OK) return st;
            if (bytes) memcpy(larger, t->pool, bytes);
            bw__free(t->pool);
            t->pool = larger;
        }
        memcpy(t->pool + bytes, name, length);
        bytes += length;
    }
    return BW_OK;
}

static bw_status fill_table(name_table *t, const bw_dataset *dataset)
{
    bw_status st = BW_OK;
    const int64_t n = bw_dataset_size(dataset);
    *t = (name_table){ .n = n };
    BW_TRY(BW_ALLOC(&t->at, n));
    BW_TRY(fill_pool(t, dataset));
    const char *name = t->pool;
    for (int64_t i = 0; i < n; i++, name += strlen(name) + 1)
        t->at[i] = (named){ name, bw__path_base(name), i };
    qsort(t->at, (size_t)n, sizeof *t->at, compare_named);
out:
    if (st != BW_OK) clear_table(t);
    return st;
}

/* Whether `name` is `wish`, or ends in it behind a slash. */
static bool ends_in(const char *name, const char *wish)
{
    const size_t n = strlen(name), m = strlen(wish);
    return n >= m && strcmp(name + n - m, wish) == 0 && (n == m || name[n - m - 1] == '/');
}

/* How many images `wish` names; *found is the one that has exactly this name, else the first. */
static int64_t find(const named **found, const name_table *t, const char *wish)
{
    const char *base = bw__path_base(wish);
    int64_t low = 0, high = t->n, matches = 0;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (strcmp(t->at[middle].base, base) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (int64_t i = low; i < t->n && strcmp(t->at[i].base, base) == 0; i++) {
        if (!ends_in(t->at[i].name, wish)) continue;
        if (matches++ == 0) *found = &t->at[i];
        if (strcmp(t->at[i].name, wish) != 0) continue;
        *found = &t->at[i];
        return 1;
    }
    return matches;
}

typedef struct reading {
    const bw_dataset *dataset;
    const char *path;
    const name_table *table;
    uint8_t *picked; /* [size of the data set] */
    int64_t names, unknown;
    char first_unknown[256];
} reading;

static bw_status take_line(reading *r, const char *line)
{
    const named *found = NULL;
    const int64_t matches = find(&found, r->table, line);
    r->names++;
    if (matches == 0) {
        if (r->unknown++ == 0) (void)snprintf(r->first_unknown, sizeof r->first_unknown, "%s", line);
        return BW_OK;
    }
    if (matches > 1)
        return bw_fail(BW_EDATA, "%s: %s is the name of %lld images; write the folder too, as in %s", r->path,
                       line, (long long)matches, found->name);
    if (bw_dataset_label(r->dataset, found->index) < 0)
        return bw_fail(BW_EDATA, "%s: %s has no label", r->path, found->name);
    r->picked[found->index] = 1;
    return BW_OK;
}

static bw_status take_lines(reading *r, char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        size_t n = strlen(line);
        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
            line[--n] = '\0';
        if (n == 0 || line[0] == '#') continue;
        bw_status st = take_line(r, line);
        if (st != BW_OK) return st;
    }
    if (r->unknown > 0)
        return bw_fail(BW_EDATA, "%s: %lld of %lld names are no images of the data set, the first is %s",
                       r->path, (long long)r->unknown, (long long)r->names, r->first_unknown);
    if (r->names == 0) return bw_fail(BW_EDATA, "%s: no names of images in it", r->path);
    return BW_OK;
}

bw_status bw__label_list_read(bw_image_list *out, const bw_dataset *dataset, const char *path)
{
    bw_status st = BW_OK;
    char *text = NULL;
    size_t bytes;
    name_table table = { 0 };
    const int64_t n = bw_dataset_size(dataset);
    reading r = { .dataset = dataset, .path = path, .table = &table };

    *out = (bw_image_list){ 0 };
    BW_TRY(bw__file_read(&text, &bytes, path, LIST_LIMIT));
    BW_TRY(fill_table(&table, dataset));
    BW_TRY(BW_ALLOC(&r.picked, n));
    BW_TRY(take_lines(&r, text));
    BW_TRY(BW_ALLOC(&out->index, n));
    for (int64_t i = 0; i < n; i++)
        if (r.picked[i]) out->index[out->n++] = i;
out:
    if (st != BW_OK) bw__image_list_clear(out);
    bw__free(r.picked);
    clear_table(&table);
    bw__free(text);
    return st == BW_EIO ? BW_EDATA : st;
}

bw_status bw__label_list_write(const char *path, const bw_dataset *dataset, const bw_image_list *list)
{
    bw_status st = BW_OK;
    bw_atomic_file file = { 0 };
    char name[NAME_ROOM];
    BW_TRY(bw__atomic_open(&file, path));
    for (int64_t i = 0; i < list->n; i++) {
        bw_dataset_name(dataset, list->index[i], name, sizeof name);
        (void)fprintf(file.stream, "%s\n", name); /* errors are found at commit */
    }
    BW_TRY(bw__atomic_commit(&file));
out:
    bw__atomic_abandon(&file);
    return st;
}
