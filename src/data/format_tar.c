/* Shards: images in plain tar archives, named as WebDataset names them, read in place through an index. */
#include "data/blob.h"
#include "data/decode.h"
#include "data/shard_files.h"
#include "data/tar_index.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Images from here on are taken for damage, as files of that size are. */
#define IMAGE_LIMIT_BYTES ((uint32_t)1 << 30)

enum { AHEAD = 2048 }; /* records read at once where images are gone through in order */

typedef struct tar_source {
    bw_shard_list shards;
    bw_tar_index index;
    bw_shard_files *files;
    bool by_folder;       /* labels are those of the folders; else of the .cls files */
    int32_t *class_of;    /* by_folder: [folders] */
    pthread_mutex_t lock; /* guards what is below */
    int64_t asked;        /* last record that was asked for */
    int64_t first, n;     /* records that are kept */
    bw_tar_record *kept;  /* [AHEAD] */
} tar_source;

/* --- the store --- */

/* A record; those of images in order are read ahead. */
static bw_status get_record(bw_tar_record *out, const bw_dataset *dataset, int64_t index)
{
    tar_source *s = dataset->source;
    bw_status st = BW_OK;
    pthread_mutex_lock(&s->lock);
    bool here = index >= s->first && index < s->first + s->n;
    if (!here && index == s->asked + 1) {
        const int64_t left = dataset->size - index;
        s->first = index;
        s->n = left < AHEAD ? left : AHEAD;
        st = bw__tar_index_records(&s->index, s->kept, s->first, s->n);
        if (st != BW_OK) s->n = 0;
        here = st == BW_OK;
    }
    s->asked = index;
    if (here) *out = s->kept[index - s->first];
    pthread_mutex_unlock(&s->lock);
    return here || st != BW_OK ? st : bw__tar_index_records(&s->index, out, index, 1);
}

static bw_status tar_encoded(const bw_dataset *dataset, int64_t index, uint8_t **bytes, size_t *size)
{
    bw_status st = BW_OK;
    tar_source *s = dataset->source;
    bw_tar_record record;
    uint8_t *data = NULL;
    *bytes = NULL;
    *size = 0;
    BW_TRY(get_record(&record, dataset, index));
    if (record.bytes > IMAGE_LIMIT_BYTES)
        return bw_fail(BW_EDATA, "too large for an image: %u bytes", (unsigned)record.bytes);
    BW_TRY(bw__alloc_untouched((void **)&data, (size_t)record.bytes + 1));
    BW_TRY(bw__shard_files_read(s->files, record.shard, (int64_t)record.offset, data, record.bytes));
    *bytes = data;
    *size = record.bytes;
    data = NULL;
out:
    bw__free(data);
    return st;
}

static void tar_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    const tar_source *s = dataset->source;
    bw_tar_record record;
    if (get_record(&record, dataset, index) == BW_OK)
        bw__tar_index_name(&s->index, &record, name, size);
    else
        (void)snprintf(name, size, "?");
}

static bw_status tar_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    uint8_t *bytes;
    size_t size;
    bw_status st = tar_encoded(dataset, index, &bytes, &size);
    if (st == BW_OK) st = bw__decode(image, bytes, size, NULL);
    bw__free(bytes);
    return st;
}

static int tar_label(const bw_dataset *dataset, int64_t index)
{
    const tar_source *s = dataset->source;
    bw_tar_record record;
    if (dataset->classes == 0 || get_record(&record, dataset, index) != BW_OK) return -1;
    return s->by_folder ? s->class_of[record.folder] : record.label;
}

/* A remark about entries, as a sentence. */
static void remark_text(char *text, size_t size, const bw_tar_remark *r, const char *what)
{
    (void)snprintf(text, size, "%lld %s, the first is %s", (long long)r->count, what, r->first);
}

static bool tar_problem(const bw_dataset *dataset, int64_t index, char *text, size_t size)
{
    const tar_source *s = dataset->source;
    const bw_tar_index *x = &s->index;
    for (int64_t i = 0; i < s->shards.n; i++) {
        const bw_tar_shard_state *state = &x->shards[i];
        if (state->damage == BW_TAR_WHOLE || index-- > 0) continue;
        (void)snprintf(
            text, size,
            "%s: %s at byte %llu of %llu; the %llu images before it are used; copy the shard again%s",
            s->shards.at[i].path, bw__tar_damage_text((bw_tar_damage)state->damage),
            (unsigned long long)state->damage_at, (unsigned long long)state->bytes,
            (unsigned long long)state->images,
            state->damage == BW_TAR_NO_END ? ", or append 1024 zero bytes if it is whole" : "");
        return true;
    }
    if (x->bad_labels.count && index-- == 0) {
        remark_text(text, size, &x->bad_labels,
                    "labels (.cls) are no whole numbers from 0 and count as none");
        return true;
    }
    if (x->extra_images.count && index-- == 0) {
        remark_text(
            text, size, &x->extra_images,
            "images are left out, since another one before them has the same name up to the first dot");
        return true;
    }
    return false;
}

static void tar_close(void *source)
{
    tar_source *s = source;
    bw__shard_files_free(s->files);
    bw__tar_index_clear(&s->index);
    bw__shard_list_clear(&s->shards);
    bw__free(s->class_of);
    bw__free(s->kept);
    (void)pthread_mutex_destroy(&s->lock);
    bw__free(s);
}

static const bw_data_store tar_store = { .read = tar_read,
                                         .name = tar_name,
                                         .close = tar_close,
                                         .label = tar_label,
                                         .encoded = tar_encoded,
                                         .problem = tar_problem };

/* --- classes --- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Length of the folders that all names have in common, with the slash behind them. */
static size_t common_folders(char *const *folders, uint64_t n)
{
    size_t common = 0, length = strlen(folders[0]);
    for (size_t end = 0; end <= length; end++) {
        if (end < length && folders[0][end] != '/') continue;
        bool all = end > 0;
        for (uint64_t i = 1; i < n && all; i++)
            all = strncmp(folders[i], folders[0], end) == 0 &&
                  (folders[i][end] == '/' || folders[i][end] == '\0');
        if (!all) break;
        common = end;
    }
    return common;
}

/* What of a folder's name lies below the common part; "" for the common folder itself. */
static const char *below(const char *folder, size_t common)
{
    const char *rest = folder + common;
    return *rest == '/' ? rest + 1 : rest;
}

/* train/ and val/ or test/ in one archive: their images must not be mixed. */
static bool holds_splits(char *const *folders, uint64_t n, size_t common)
{
    bool train = false, test = false;
    for (uint64_t i = 0; i < n; i++) {
        const char *name = below(folders[i], common);
        const size_t length = strcspn(name, "/");
        train = train || (length == 5 && memcmp(name, "train", 5) == 0);
        test = test || (length == 3 && memcmp(name, "val", 3) == 0) ||
               (length == 4 && memcmp(name, "test", 4) == 0);
    }
    return train && test;
}

/* Number of the class that folder `name` is or lies in; -1 where there is none. */
static int32_t find_class(char *const *names, int64_t n, const char *name)
{
    const size_t length = strcspn(name, "/");
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int c = strncmp(names[middle], name, length);
        if (c == 0 && names[middle][length] == '\0') return (int32_t)middle;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* Classes by the first folder below the common ones, by ImageFolder's rules; without labels where these do
 * not hold: all images in one folder, one of them in none, or a folder that has no images but only folders.
 */
static bw_status label_by_folder(bw_dataset *dataset, tar_source *s)
{
    bw_status st = BW_OK;
    const bw_tar_index *x = &s->index;
    const uint64_t n = x->head.folders;
    char **names = NULL;
    int64_t classes = 0;
    if (n < 2 || n > BW_TAR_MAX_FOLDERS) return BW_OK;
    const size_t common = common_folders(x->folders, n);
    if (holds_splits(x->folders, n, common))
        return bw_fail(
            BW_EDATA,
            "%s: train/ and val/ or test/ are in one archive, where splits are not told apart; unpack "
            "it, or make one archive of each",
            s->shards.at[0].path);
    BW_TRY(BW_ALLOC(&names, n));
    BW_TRY(BW_ALLOC(&s->class_of, n));
    for (uint64_t i = 0; i < n; i++) {
        char *name = x->folders[i] + (below(x->folders[i], common) - x->folders[i]);
        if (*name == '\0') goto out;
        if (!strchr(name, '/')) names[classes++] = name;
    }
    if (classes > 1) qsort(names, (size_t)classes, sizeof *names, compare_names);
    for (uint64_t i = 0; i < n; i++) {
        s->class_of[i] = find_class(names, classes, below(x->folders[i], common));
        if (s->class_of[i] < 0) goto out;
    }
    s->by_folder = true;
    st = bw__dataset_set_classes(dataset, (const char *const *)names, (int)classes);
out:
    bw__free(names);
    return st;
}

static int64_t count_lines(const bw_blob *blob)
{
    int64_t lines = 0;
    bool open = false;
    for (size_t i = 0; i < blob->size; i++) {
        const bool end = blob->data[i] == '\n' || blob->data[i] == '\r';
        lines += end && open;
        open = !end;
    }
    return lines + open;
}

/* Lines of folder/classes.txt; -1 if there is none. */
static bw_status count_classes(int64_t *out, const char *folder)
{
    bw_status st = BW_OK;
    bw_blob blob = { 0 };
    char *path = NULL;
    *out = -1;
    BW_TRY(bw__path_join(&path, folder, BW_CLASSES_FILE));
    if (!bw__path_is_file(path)) goto out;
    BW_TRY(bw__blob_map(&blob, path));
    *out = count_lines(&blob);
out:
    bw__blob_close(&blob);
    bw__free(path);
    return st;
}

/* Labels of .cls files have the names of the lines of classes.txt, which lies beside the shards. That file
 * says that labels are those of the .cls files alone: where it is empty there are none. */
static bw_status set_classes(bw_dataset *dataset, tar_source *s)
{
    bw_status st = BW_OK;
    const int64_t labels = (int64_t)s->index.head.labels;
    int64_t named;
    BW_TRY(count_classes(&named, s->shards.folder));
    if (named < 0 && labels == 0) {
        st = label_by_folder(dataset, s);
    } else if (labels > 0 && named >= labels) {
        st = bw__dataset_name_classes(dataset, s->shards.folder, BW_CLASSES_FILE, (int)named);
    } else if (labels > 0) {
        if (named >= 0)
            bw_log(BW_LOG_WARN,
                   "%s: labels go up to %lld, and %s beside it names %lld classes; numbers are used",
                   s->shards.at[0].path, (long long)labels - 1, BW_CLASSES_FILE, (long long)named);
        st = bw__dataset_set_classes(dataset, NULL, (int)labels);
    }
out:
    return st;
}

/* --- opening --- */

static bw_status attach(bw_dataset *dataset)
{
    tar_source *s = NULL;
    bw_status st = BW_ALLOC(&s, 1);
    if (st != BW_OK) return st;
    (void)pthread_mutex_init(&s->lock, NULL);
    s->asked = -1;
    dataset->source = s;
    dataset->store = &tar_store;
    return BW_OK;
}

/* Share of the bytes of all shards that lies behind damage. How much a shard that was cut off has lost nobody
 * can know: it is taken for as large as the largest, or for twice what is there where it is that itself. */
static double lost_share(const tar_source *s)
{
    double lost = 0.0, all = 0.0, largest = 0.0;
    for (int64_t i = 0; i < s->shards.n; i++)
        if ((double)s->shards.at[i].bytes > largest) largest = (double)s->shards.at[i].bytes;
    for (int64_t i = 0; i < s->shards.n; i++) {
        const bw_tar_shard_state *state = &s->index.shards[i];
        const bool cut = state->damage == BW_TAR_TRUNCATED || state->damage == BW_TAR_NO_END;
        double bytes = (double)state->bytes;
        if (cut) bytes = bytes < largest ? largest : 2.0 * bytes;
        if (state->damage != BW_TAR_WHOLE) lost += bytes - (double)state->damage_at;
        all += bytes;
    }
    return lost / all;
}

static bw_status fail_no_images(const bw_dataset *dataset, const char *path)
{
    char problem[700];
    if (tar_problem(dataset, 0, problem, sizeof problem)) return bw_fail(BW_EDATA, "%s", problem);
    return bw_fail(BW_EDATA, "%s: no images found: no entry is named .jpg, .jpeg, .png or .webp", path);
}

static void warn_of_problems(const bw_dataset *dataset)
{
    enum { TOLD = 5 };
    char problem[700];
    int64_t n = 0;
    for (; tar_problem(dataset, n, problem, sizeof problem); n++)
        if (n < TOLD) bw_log(BW_LOG_WARN, "%s", problem);
    if (n > TOLD)
        bw_log(BW_LOG_WARN, "%lld more such remarks; blockwise data check lists them all",
               (long long)(n - TOLD));
}

static bw_status open_shards(bw_dataset *dataset, const char *path, bw_split split)
{
    bw_status st = BW_OK;
    BW_TRY(attach(dataset));
    tar_source *s = dataset->source;
    BW_TRY(bw__shard_list_find(&s->shards, path, split));
    BW_TRY(bw__tar_index_open(&s->index, &s->shards));
    BW_TRY(bw__shard_files_create(&s->files, &s->shards));
    BW_TRY(BW_ALLOC(&s->kept, AHEAD));
    if (s->index.head.images == 0) return fail_no_images(dataset, path);
    BW_TRY(set_classes(dataset, s));
    dataset->size = (int64_t)s->index.head.images;
    dataset->lost = lost_share(s);
out:
    return st;
}

/* A test split numbers its classes as the training split does, where that is there. */
static bw_status number_as_in_train(bw_dataset *dataset, const char *path)
{
    bw_status st = BW_OK;
    bw_dataset train = { 0 };
    bw_shard_list list;
    st = bw__shard_list_find(&list, path, BW_SPLIT_TRAIN);
    bw__shard_list_clear(&list);
    if (st == BW_EDATA) return BW_OK;
    if (st == BW_OK) st = open_shards(&train, path, BW_SPLIT_TRAIN);
    if (st == BW_OK) st = bw_dataset_match_classes(dataset, &train);
    bw__dataset_close(&train);
    return st;
}

static bool tar_looks_like(const char *path, bool is_folder)
{
    return bw__shard_list_looks_like(path, is_folder);
}

static bw_status tar_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    bw_status st = BW_OK;
    (void)forced;
    BW_TRY(open_shards(dataset, path, split));
    if (split != BW_SPLIT_TRAIN && bw__path_is_folder(path)) BW_TRY(number_as_in_train(dataset, path));
    const int64_t left_out = ((const tar_source *)dataset->source)->shards.left_out;
    if (left_out)
        bw_log(BW_LOG_WARN,
               "%s: .tar files that are left out, since their names say neither train nor val or test: %lld",
               path, (long long)left_out);
    warn_of_problems(dataset);
out:
    return st;
}

const bw_data_format bw__format_tar = {
    "tar", "shards: plain .tar files as WebDataset's, one, a folder, or a pattern as x-{000..146}.tar",
    tar_looks_like, tar_open
};
