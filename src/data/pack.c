/* Any data set as shards. */
#include "data/blob.h"
#include "data/encode_png.h"
#include "data/pack_name.h"
#include "data/tar_write.h"
#include "data/dataset_internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What `out` says: folder/PREFIX%0WIDTHdSUFFIX, or one name. */
typedef struct pattern {
    char *folder;
    char prefix[256];
    const char *suffix;
    int width;
    bool numbered;
} pattern;

static bw_status parse_pattern(pattern *p, const char *out)
{
    static const char WANTED[] = "want a name that ends in .tar, with one %d or %06d for the shard's number";
    const char *base = bw__path_base(out), *percent = strchr(base, '%'), *end;
    const size_t n = strlen(base);
    *p = (pattern){ 0 };
    if (n < 5 || strcmp(base + n - 4, ".tar") != 0) return bw_fail(BW_EINVAL, "%s: %s", out, WANTED);
    const size_t before = percent ? (size_t)(percent - base) : n;
    if (before >= sizeof p->prefix) return bw_fail(BW_EINVAL, "%s: the name is too long", out);
    memcpy(p->prefix, base, before);
    p->suffix = "";
    if (percent) {
        p->numbered = true;
        p->width = (int)strtol(percent + 1, (char **)&end, 10);
        if (percent[1] == '-' || percent[1] == '+' || percent[1] == ' ' || p->width < 0 || p->width > 20 ||
            *end != 'd' || strchr(end, '%'))
            return bw_fail(BW_EINVAL, "%s: %s", out, WANTED);
        p->suffix = end + 1;
    }
    return bw__path_folder(&p->folder, out);
}

static bw_status shard_path(char **out, const pattern *p, int64_t number)
{
    char name[320];
    if (p->numbered)
        (void)snprintf(name, sizeof name, "%s%0*lld%s", p->prefix, p->width, (long long)number, p->suffix);
    else
        (void)snprintf(name, sizeof name, "%s", p->prefix);
    return bw__path_join(out, p->folder, name);
}

/* Whether `name` could be one of the shards. */
static bool matches(const pattern *p, const char *name)
{
    const size_t n = strlen(p->prefix);
    if (!p->numbered) return strcmp(name, p->prefix) == 0;
    if (strncmp(name, p->prefix, n) != 0) return false;
    const size_t digits = strspn(name + n, "0123456789");
    return digits > 0 && strcmp(name + n + digits, p->suffix) == 0;
}

/* The folder is there, and none of the names is taken: shards of two sets must not be mixed. */
static bw_status check_free(const pattern *p, const char *out)
{
    DIR *dir = opendir(*p->folder ? p->folder : ".");
    bw_status st = BW_OK;
    if (!dir) return bw_fail(BW_EIO, "%s: cannot write: folder %s: %s", out, p->folder, strerror(errno));
    for (struct dirent *e; st == BW_OK && (e = readdir(dir));)
        if (matches(p, e->d_name))
            st = bw_fail(BW_EEXIST, "%s%s%s: is there already; remove it or choose another name", p->folder,
                         *p->folder ? "/" : "", e->d_name);
    (void)closedir(dir);
    return st;
}

/* classes.txt: a class a line, none where the data has no labels. One that is there must be the same. */
static bw_status write_classes(bw_tar_files *files, const bw_dataset *dataset, const pattern *p)
{
    bw_status st = BW_OK;
    const int classes = bw__dataset_has_labels(dataset) ? dataset->classes : 0;
    size_t size = 0;
    char *text = NULL, *path = NULL;
    bw_blob there = { 0 };
    for (int c = 0; c < classes; c++) {
        const char *name = dataset->class_names[c];
        if (*name == '\0' || strpbrk(name, "\r\n"))
            BW_TRY(bw_fail(BW_EDATA, "class %d has a name that is empty or of two lines; %s cannot hold it",
                           c, BW_CLASSES_FILE));
        size += strlen(name) + 1;
    }
    BW_TRY(bw__alloc((void **)&text, size + 1));
    for (int c = 0; c < classes; c++) {
        strcat(text, dataset->class_names[c]);
        strcat(text, "\n");
    }
    BW_TRY(bw__path_join(&path, p->folder, BW_CLASSES_FILE));
    if (!bw__path_is_file(path)) {
        st = bw__tar_files_text(files, path, text, size);
        goto out;
    }
    BW_TRY(bw__blob_map(&there, path));
    if (there.size != size || (size && memcmp(there.data, text, size) != 0))
        st = bw_fail(BW_EEXIST, "%s: is there already and names other classes; choose another folder", path);
out:
    bw__blob_close(&there);
    bw__free(path);
    bw__free(text);
    return st;
}

typedef struct packer {
    const bw_dataset *dataset;
    const bw_pack_options *options;
    bw_pack_result *result;
    pattern pattern;
    bw_tar_files files;
    int64_t images; /* in the shard that is being written */
    bw_image image;
    bw_pack_name name;
} packer;

static bw_status end_shard(packer *p)
{
    if (!p->files.archive) return BW_OK;
    p->result->bytes += p->files.bytes;
    return bw__tar_files_end(&p->files);
}

/* A new shard where the next image, of `size` bytes with all around it, has no place in this one. */
static bw_status make_room(packer *p, int64_t size)
{
    bw_status st = BW_OK;
    const bw_pack_options *o = p->options;
    char *path = NULL;
    const bool full = (o->shard_images > 0 && p->images >= o->shard_images) ||
                      (o->shard_bytes > 0 && p->files.bytes + size > o->shard_bytes && p->images > 0);
    if (p->files.archive && !(full && p->pattern.numbered)) return BW_OK;
    BW_TRY(end_shard(p));
    BW_TRY(shard_path(&path, &p->pattern, p->result->shards));
    BW_TRY(bw__tar_files_begin(&p->files, path));
    p->result->shards++;
    p->images = 0;
out:
    bw__free(path);
    return st;
}

static bw_status pack_image(packer *p, int64_t index)
{
    bw_status st = BW_OK;
    char name[4096], before[BW_PACK_NAME], text[BW_PACK_NAME + 8];
    uint8_t *bytes = NULL;
    size_t size;
    bw_dataset_name(p->dataset, index, name, sizeof name);
    st = bw__dataset_encoded(p->dataset, index, &bytes, &size);
    const bool raw = st == BW_OK && !bytes;
    if (raw) st = bw_dataset_read(p->dataset, index, &p->image);
    if (raw && st == BW_OK) st = bw__encode_png(&bytes, &size, &p->image);
    if (st != BW_OK) {
        (void)bw_fail_prefix(st, "%s", name);
        goto out;
    }
    memcpy(before, p->name.key, sizeof before);
    bw__pack_name(&p->name, name, before, bytes, size);
    p->result->renamed += !raw && strcmp(name, p->name.image) != 0;
    enum {
        AROUND = 6 * 512
    }; /* headers of image and label, the label, two ends of blocks, and the archive's end */
    BW_TRY(make_room(p, (int64_t)size + AROUND));
    BW_TRY(bw__tar_files_add(&p->files, p->name.image, bytes, size));
    const int label = bw_dataset_label(p->dataset, index);
    if (label >= 0) {
        char number[16];
        const int n = snprintf(number, sizeof number, "%d", label);
        (void)snprintf(text, sizeof text, "%s.cls", p->name.key);
        BW_TRY(bw__tar_files_add(&p->files, text, number, (size_t)n));
        p->result->labelled++;
    }
    p->images++;
    p->result->images++;
out:
    bw__free(bytes);
    return st;
}

bw_status bw_dataset_pack(bw_pack_result *out, const bw_dataset *dataset, const bw_pack_options *options,
                          bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    packer *p = NULL;
    *out = (bw_pack_result){ 0 };
    if (!options->out) return bw_fail(BW_EINVAL, "a name for the shards is missing");
    if (options->shard_bytes < 0 || options->shard_images < 0)
        return bw_fail(BW_EINVAL, "sizes of shards must not be below 0");
    BW_TRY(BW_ALLOC(&p, 1));
    p->dataset = dataset;
    p->options = options;
    p->result = out;
    p->files = BW_TAR_FILES_NONE;
    BW_TRY(parse_pattern(&p->pattern, options->out));
    BW_TRY(check_free(&p->pattern, options->out));
    BW_TRY(write_classes(&p->files, dataset, &p->pattern));
    for (int64_t i = 0; i < dataset->size; i++) {
        BW_TRY(pack_image(p, i));
        if (progress && progress(user, "pack", (double)(i + 1) / (double)dataset->size))
            BW_TRY(bw_fail(BW_EINTERRUPTED, "stopped by a signal; nothing is left of it"));
    }
    BW_TRY(end_shard(p));
    st = bw__tar_files_commit(&p->files);
    out->classes = bw__dataset_has_labels(dataset) ? dataset->classes : 0;
out:
    if (p) {
        bw__tar_files_clear(&p->files);
        bw_image_clear(&p->image);
        bw__free(p->pattern.folder);
    }
    bw__free(p);
    return st;
}
