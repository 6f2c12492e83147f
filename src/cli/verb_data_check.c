/* `blockwise data check`: reads every image and says what is there. */
#include "base/machine.h"
#include "base/memory.h"
#include "cli/progress.h"
#include "cli/results.h"
#include <stdlib.h>

/* What was found in one split. */
typedef struct split_report {
    const char *name;
    bw_dataset *dataset;
    int64_t images, bad;
    int64_t *height, *width; /* [images], 0 for an unreadable image */
    char **reason;           /* [images], NULL for a readable image */
    int64_t *class_count;    /* [classes] */
    int64_t edge[2][3];      /* height, width: least, median, most of the readable images */
} split_report;

static void report_clear(split_report *r)
{
    for (int64_t i = 0; r->reason && i < r->images; i++)
        bw__free(r->reason[i]);
    bw__free(r->reason);
    bw__free(r->height);
    bw__free(r->width);
    bw__free(r->class_count);
    bw_dataset_free(r->dataset);
    *r = (split_report){ 0 };
}

static int compare_extents(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Least, median, most of the extents above 0; sorts them. */
static void summarise(int64_t edge[3], int64_t *extent, int64_t n, int64_t bad)
{
    qsort(extent, (size_t)n, sizeof *extent, compare_extents);
    if (bad >= n) return;
    edge[0] = extent[bad];
    edge[1] = extent[bad + (n - bad) / 2];
    edge[2] = extent[n - 1];
}

/* Reads image `i`; only a failure that is not the image's own is passed on. */
static bw_status read_one(split_report *r, int64_t i, bw_image *image)
{
    bw_status st = bw_dataset_read(r->dataset, i, image);
    if (st == BW_OK) {
        r->height[i] = image->height;
        r->width[i] = image->width;
        return BW_OK;
    }
    if (st != BW_EDATA) return st;
    return bw__strdup(&r->reason[i], bw_last_error());
}

static bw_status read_all(split_report *r)
{
    enum { SLICE = 256 }; /* images between two looks at the signals */
    char message[1024] = "";
    bw_status st = BW_OK;
    int threads = bw__usable_cores();
    for (int64_t first = 0; first < r->images && st == BW_OK; first += SLICE) {
        int64_t end = first + SLICE < r->images ? first + SLICE : r->images;
#pragma omp parallel num_threads(threads)
        {
            bw_image image = { 0 };
#pragma omp for schedule(dynamic, 8)
            for (int64_t i = first; i < end; i++) {
                bw_status one = read_one(r, i, &image);
                if (one == BW_OK) continue;
#pragma omp critical
                {
                    st = one;
                    (void)snprintf(message, sizeof message, "%s", bw_last_error());
                }
            }
            bw_image_clear(&image);
        }
        if (cli_progress_callback(NULL, r->name, (double)end / (double)r->images) && st == BW_OK)
            return bw_fail(BW_EINTERRUPTED, "stopped by a signal");
    }
    return st == BW_OK ? BW_OK : bw_fail(st, "%s", message);
}

static bw_status open_split(split_report *r, const cli_options *o, bw_split split)
{
    r->name = split == BW_SPLIT_TRAIN ? "train" : "test";
    return bw_dataset_open(&r->dataset, o->arguments[0], split, o->format);
}

static bw_status check_split(split_report *r)
{
    bw_status st = BW_OK;
    r->images = bw_dataset_size(r->dataset);
    BW_TRY(BW_ALLOC(&r->height, r->images));
    BW_TRY(BW_ALLOC(&r->width, r->images));
    BW_TRY(BW_ALLOC(&r->reason, r->images));
    BW_TRY(BW_ALLOC(&r->class_count, bw_dataset_classes(r->dataset)));
    BW_TRY(read_all(r));
    for (int64_t i = 0; i < r->images; i++) {
        int label = bw_dataset_label(r->dataset, i);
        r->bad += r->reason[i] != NULL;
        if (label >= 0) r->class_count[label]++;
    }
    summarise(r->edge[0], r->height, r->images, r->bad);
    summarise(r->edge[1], r->width, r->images, r->bad);
out:
    return st;
}

static json_t *extents_json(const int64_t edge[3])
{
    static const char *const NAMES[3] = { "min", "median", "max" };
    json_t *object = json_object();
    for (int i = 0; i < 3; i++)
        (void)json_object_set_new(object, NAMES[i], json_integer(edge[i]));
    return object;
}

static json_t *split_json(const split_report *r)
{
    json_t *object = json_object(), *classes = json_array(), *bad = json_array(), *problems = json_array();
    char name[4096];
    for (int64_t i = 0; bw_dataset_problem(r->dataset, i, name, sizeof name); i++)
        (void)json_array_append_new(problems, bw__json_text(name));
    for (int c = 0; c < bw_dataset_classes(r->dataset); c++) {
        json_t *entry = json_object();
        (void)json_object_set_new(entry, "name", bw__json_text(bw_dataset_class_name(r->dataset, c)));
        (void)json_object_set_new(entry, "images", json_integer(r->class_count[c]));
        (void)json_array_append_new(classes, entry);
    }
    for (int64_t i = 0; i < r->images; i++) {
        if (!r->reason[i]) continue;
        json_t *entry = json_object();
        bw_dataset_name(r->dataset, i, name, sizeof name);
        (void)json_object_set_new(entry, "name", bw__json_text(name));
        (void)json_object_set_new(entry, "reason", bw__json_text(r->reason[i]));
        (void)json_array_append_new(bad, entry);
    }
    (void)json_object_set_new(object, "split", json_string(r->name));
    (void)json_object_set_new(object, "images", json_integer(r->images));
    (void)json_object_set_new(object, "unreadable", json_integer(r->bad));
    (void)json_object_set_new(object, "height", extents_json(r->edge[0]));
    (void)json_object_set_new(object, "width", extents_json(r->edge[1]));
    (void)json_object_set_new(object, "classes", classes);
    (void)json_object_set_new(object, "bad", bad);
    (void)json_object_set_new(object, "problems", problems);
    return object;
}

static void print_split(const split_report *r)
{
    char name[4096];
    int classes = bw_dataset_classes(r->dataset);
    printf("%s: %lld images, %d classes, %lld unreadable\n", r->name, (long long)r->images, classes,
           (long long)r->bad);
    if (r->bad < r->images)
        printf("  height %lld to %lld, median %lld; width %lld to %lld, median %lld\n",
               (long long)r->edge[0][0], (long long)r->edge[0][2], (long long)r->edge[0][1],
               (long long)r->edge[1][0], (long long)r->edge[1][2], (long long)r->edge[1][1]);
    for (int c = 0; c < classes; c++)
        printf("  class %s: %lld\n", bw_dataset_class_name(r->dataset, c), (long long)r->class_count[c]);
    for (int64_t i = 0; i < r->images; i++) {
        if (!r->reason[i]) continue;
        bw_dataset_name(r->dataset, i, name, sizeof name);
        printf("  unreadable: %s: %s\n", name, r->reason[i]);
    }
    for (int64_t i = 0; bw_dataset_problem(r->dataset, i, name, sizeof name); i++)
        printf("  problem: %s\n", name);
}

static bw_status print_reports(const split_report *reports, int n, bool json)
{
    const char *format = bw_dataset_format(reports[0].dataset);
    if (!json) {
        printf("format: %s\n", format);
        for (int i = 0; i < n; i++)
            print_split(&reports[i]);
        return BW_OK;
    }
    json_t *object = json_object(), *splits = json_array();
    for (int i = 0; i < n; i++)
        (void)json_array_append_new(splits, split_json(&reports[i]));
    (void)json_object_set_new(object, "format", bw__json_text(format));
    (void)json_object_set_new(object, "splits", splits);
    return cli_print_json(object);
}

static int run_data_check(const cli_options *o)
{
    bw_status st = BW_OK;
    split_report reports[2] = { 0 };
    const double max_bad = bw_config_default().data.max_bad;
    int n = 2, code = 0;

    /* Both before any image is read: that of the one may take an hour, and the other be damaged. */
    BW_TRY(open_split(&reports[0], o, BW_SPLIT_TRAIN));
    st = open_split(&reports[1], o, BW_SPLIT_TEST);
    if (st == BW_ENOSPLIT)
        n = 1; /* no failure of the check */
    else if (st != BW_OK)
        goto out;
    for (int i = 0; i < n; i++)
        BW_TRY(check_split(&reports[i]));
    cli_progress_end();
    BW_TRY(print_reports(reports, n, o->json));
    for (int i = 0; i < n; i++) {
        const split_report *r = &reports[i];
        const double lost = bw_dataset_lost(r->dataset);
        if (lost > max_bad) {
            cli_error(
                "%s: about %.3g %% of the %s split is lost in damaged shards, more than data.max_bad (%g) "
                "allows",
                o->arguments[0], 100.0 * lost, r->name, max_bad);
            code = CLI_EXIT_DATA;
        }
        if ((double)r->bad <= max_bad * (double)r->images) continue;
        cli_error(
            "%s: %lld of %lld images of the %s split cannot be read, more than data.max_bad (%g) allows",
            o->arguments[0], (long long)r->bad, (long long)r->images, r->name, max_bad);
        code = CLI_EXIT_DATA;
    }
out:
    report_clear(&reports[0]);
    report_clear(&reports[1]);
    return st == BW_OK ? code : cli_finish(st);
}

const cli_verb cli_data_check = {
    .name = "data check",
    .arguments = "PATH",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Read every image and say what was found",
    .notes =
        "Exit status 3 where more images than data.max_bad allows cannot be read, or as much of the data "
        "is lost in damaged shards, or where the test split is there but cannot be opened.",
    .examples = "blockwise data check photos/",
    .options = { CLI_DATA_FORMAT, CLI_JSON, CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_data_check
};
