/* A text file that lists images: "path", or "path label". */
#include "data/blob.h"
#include "data/files.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBER 999999

/* What stands behind the path of one image; length 0: nothing. */
typedef struct list_label {
    const char *text;
    size_t length;
    int64_t line;
} list_label;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_image_name(const char *text, size_t length)
{
    char tail[16];
    size_t n = length < sizeof tail ? length : sizeof tail - 1;
    memcpy(tail, text + length - n, n);
    tail[n] = '\0';
    return bw__files_is_image_name(tail);
}

/* One line without its end and without white space around it. */
static bw_status add_line(bw_dataset *dataset, list_label *label, const char *text, size_t length)
{
    size_t path = length, gap;
    if (!is_image_name(text, length)) {
        while (path > 0 && !is_space(text[path - 1]))
            path--;
        gap = path;
        while (gap > 0 && is_space(text[gap - 1]))
            gap--;
        if (gap == 0) {
            path = length; /* no white space in it: a path with an unusual name */
        } else {
            label->text = text + path;
            label->length = length - path;
            path = gap;
        }
    }
    return bw__files_add(dataset, text, path);
}

static bw_status read_lines(bw_dataset *dataset, list_label *labels, const char *path, const char *text,
                            size_t size)
{
    bw_files *files = dataset->source;
    const char *end = text + size;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3; /* byte order mark */
    for (int64_t line = 1; text < end; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        const char *next = stop ? stop + 1 : end;
        if (!stop) stop = end;
        if (memchr(text, '\0', (size_t)(stop - text)))
            return bw_fail(BW_EDATA, "%s:%lld: not a text file (zero byte)", path, (long long)line);
        while (text < stop && is_space(*text))
            text++;
        while (text < stop && is_space(stop[-1]))
            stop--;
        if (text < stop && *text != '#') {
            list_label *label = &labels[files->count];
            label->line = line;
            bw_status st = add_line(dataset, label, text, (size_t)(stop - text));
            if (st != BW_OK) return st;
        }
        text = next;
    }
    return BW_OK;
}

/* True if the label is a number from 0, or -1 for none. */
static bool is_number(const list_label *label, long *value)
{
    char digits[24], *end;
    if (label->length == 0 || label->length >= sizeof digits) return false;
    memcpy(digits, label->text, label->length);
    digits[label->length] = '\0';
    *value = strtol(digits, &end, 10);
    return *end == '\0' && *value >= -1;
}

static bool all_numbers(const list_label *labels, int64_t n)
{
    long value;
    for (int64_t i = 0; i < n; i++)
        if (labels[i].length && !is_number(&labels[i], &value)) return false;
    return true;
}

static bw_status set_numbers(bw_dataset *dataset, const list_label *labels, const char *path)
{
    long highest = -1;
    for (int64_t i = 0; i < dataset->size; i++) {
        long value = -1;
        if (labels[i].length && (!is_number(&labels[i], &value) || value > MAX_NUMBER))
            return bw_fail(BW_EDATA, "%s:%lld: label %.*s is too large; numbers go from 0 to %d", path,
                           (long long)labels[i].line, (int)labels[i].length, labels[i].text, MAX_NUMBER);
        dataset->labels[i] = (int32_t)value;
        if (value > highest) highest = value;
    }
    return bw__dataset_set_classes(dataset, NULL, (int)highest + 1);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bw_status set_names(bw_dataset *dataset, const list_label *labels)
{
    bw_status st = BW_OK;
    int64_t n = 0, unique = 0;
    size_t bytes = 1;
    char *pool = NULL, **names = NULL, *p;
    for (int64_t i = 0; i < dataset->size; i++)
        bytes += labels[i].length + 1;
    BW_TRY(bw__alloc((void **)&pool, bytes));
    BW_TRY(BW_ALLOC(&names, dataset->size));
    p = pool;
    for (int64_t i = 0; i < dataset->size; i++) {
        if (labels[i].length == 0) continue;
        memcpy(p, labels[i].text, labels[i].length);
        names[n++] = p;
        p += labels[i].length + 1;
    }
    qsort(names, (size_t)n, sizeof *names, compare_names);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[unique - 1]) != 0) names[unique++] = names[i];
    BW_TRY(bw__dataset_set_classes(dataset, (const char *const *)names, (int)unique));
    p = pool; /* the texts still lie there in the order of the images */
    for (int64_t i = 0; i < dataset->size; i++) {
        dataset->labels[i] = -1;
        if (labels[i].length == 0) continue;
        char **found = bsearch(&p, dataset->class_names, (size_t)unique, sizeof *names, compare_names);
        BW_ASSERT(found);
        dataset->labels[i] = (int32_t)(found - dataset->class_names);
        p += labels[i].length + 1;
    }
out:
    bw__free(names);
    bw__free(pool);
    return st;
}

static bool list_looks_like(const char *path, bool is_folder)
{
    char head[4096];
    FILE *file = is_folder ? NULL : fopen(path, "rb");
    if (!file) return false;
    size_t n = fread(head, 1, sizeof head, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    /* JPEG and PNG have zero bytes in their first few, and text has none. */
    return !failed && !memchr(head, '\0', n);
}

static bw_status list_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    (void)forced;
    bw_status st = BW_OK;
    bw_blob blob = { 0 };
    char *folder = NULL;
    list_label *labels = NULL;
    int64_t lines = 1;
    if (split == BW_SPLIT_TEST) return bw__fail_no_split(path, split);
    if (bw__path_is_folder(path))
        return bw_fail(BW_EDATA, "%s: a folder, not a text file that lists images", path);
    BW_TRY(bw__blob_map(&blob, path));
    for (size_t i = 0; i < blob.size; i++)
        lines += blob.data[i] == '\n';
    BW_TRY(BW_ALLOC(&labels, lines));
    BW_TRY(bw__path_folder(&folder, path));
    BW_TRY(bw__files_create(dataset, folder));
    BW_TRY(read_lines(dataset, labels, path, blob.size ? (const char *)blob.data : "", blob.size));
    BW_TRY(bw__files_finish(dataset));
    if (dataset->size == 0) {
        st = bw_fail(BW_EDATA, "%s: no images found: no line names one", path);
        goto out;
    }
    bool any = false;
    for (int64_t i = 0; i < dataset->size; i++)
        any = any || labels[i].length;
    if (!any) goto out;
    BW_TRY(BW_ALLOC(&dataset->labels, dataset->size));
    BW_TRY(all_numbers(labels, dataset->size) ? set_numbers(dataset, labels, path)
                                              : set_names(dataset, labels));
out:
    bw__free(labels);
    bw__blob_close(&blob);
    bw__free(folder);
    return st;
}

const bw_data_format bw__format_list = {
    "list", "text file with one image a line, relative to its folder, and a label or class behind it",
    list_looks_like, list_open
};
