/* MNIST-style IDX files (yann.lecun.com/exdb/mnist): two zero bytes, element type, number of dimensions,
 * one big-endian 32-bit extent per dimension, then the elements. */
#include "data/records.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IDX_TYPE_U8  0x08
#define IDX_MAX_DIMS 4

typedef struct idx_header {
    int dims;
    int64_t extent[IDX_MAX_DIMS];
    size_t header_bytes, bytes; /* `bytes` with the header */
} idx_header;

static bool is_idx_magic(const uint8_t *head, size_t size)
{
    return size >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 0x08 && head[2] <= 0x0e && head[3] >= 1 &&
           head[3] <= IDX_MAX_DIMS;
}

static bw_status read_header(idx_header *out, const char *path)
{
    uint8_t head[4 + 4 * IDX_MAX_DIMS];
    size_t got;
    bw_status st = bw__blob_head(path, head, sizeof head, &got);
    if (st != BW_OK) return st;
    if (!is_idx_magic(head, got))
        return bw_fail(BW_EDATA, "%s: not an IDX file (magic number missing)", path);
    if (head[2] != IDX_TYPE_U8)
        return bw_fail(BW_EDATA, "%s: IDX elements of type 0x%02x; only unsigned bytes (0x08) are read", path,
                       head[2]);
    *out = (idx_header){ .dims = head[3], .header_bytes = 4 + 4 * (size_t)head[3], .bytes = 1 };
    if (got < out->header_bytes)
        return bw_fail(BW_EDATA, "%s: truncated: %zu bytes, the header alone has %zu", path, got,
                       out->header_bytes);
    for (int i = 0; i < out->dims; i++) {
        const uint8_t *p = head + 4 + 4 * i;
        uint32_t v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        out->extent[i] = v;
        if (__builtin_mul_overflow(out->bytes, (size_t)v, &out->bytes) || out->bytes > SIZE_MAX / 8)
            return bw_fail(BW_EDATA, "%s: the header promises an impossible number of bytes", path);
    }
    out->bytes += out->header_bytes;
    return BW_OK;
}

/* The whole file, its size checked against its header. */
static bw_status open_idx(idx_header *header, bw_blob *blob, const char *path)
{
    bw_status st = read_header(header, path);
    if (st == BW_OK) st = bw__blob_open(blob, path, header->bytes);
    if (st != BW_OK) return st;
    if (blob->size == header->bytes) return BW_OK;
    bool more = blob->size > header->bytes;
    size_t size = blob->size;
    bw__blob_close(blob);
    return bw_fail(BW_EDATA, "%s: the header promises %zu bytes, the file holds %s%zu; fetch it again", path,
                   header->bytes, more ? "at least " : "only ", size);
}

/* Writes `name` with its first `from` replaced; false if it has none or does not fit. */
static bool replaced(char *out, size_t size, const char *name, const char *from, const char *to)
{
    const char *at = strstr(name, from);
    if (!at) return false;
    int n = snprintf(out, size, "%.*s%s%s", (int)(at - name), name, to, at + strlen(from));
    return n >= 0 && (size_t)n < size;
}

/* The labels' file beside an image file: "images" -> "labels", "idx3" -> "idx1", plain or .gz. */
static bool labels_path(char *out, size_t size, const char *path)
{
    char base[512], name[512], folder[4096];
    const char *images = bw__path_base(path);
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(images - path), path);
    if (!replaced(base, sizeof base, images, "images", "labels")) return false;
    if (!replaced(name, sizeof name, base, "idx3", "idx1") &&
        !replaced(name, sizeof name, base, "idx4", "idx1"))
        (void)snprintf(name, sizeof name, "%s", base);
    size_t n = strlen(name);
    if (n > 3 && strcmp(name + n - 3, ".gz") == 0) name[n - 3] = '\0';
    static const char *const endings[] = { "", ".gz" };
    for (int i = 0; i < 2; i++) {
        int len = snprintf(out, size, "%s%s%s", folder, name, endings[i]);
        if (len >= 0 && (size_t)len < size && bw__path_is_file(out)) return true;
    }
    return false;
}

static bw_status read_labels(bw_dataset *dataset, const char *images, const char *path)
{
    bw_status st = BW_OK;
    idx_header header;
    bw_blob blob = { 0 };
    int highest = 0;
    BW_TRY(open_idx(&header, &blob, path));
    if (header.dims != 1 || header.extent[0] != dataset->size) {
        st = bw_fail(BW_EDATA, "%s holds %lld labels, but %s %lld images; they do not belong together", path,
                     (long long)(header.dims == 1 ? header.extent[0] : -1), images, (long long)dataset->size);
        goto out;
    }
    BW_TRY(BW_ALLOC(&dataset->labels, dataset->size));
    for (int64_t i = 0; i < dataset->size; i++) {
        dataset->labels[i] = blob.data[header.header_bytes + (size_t)i];
        if (dataset->labels[i] > highest) highest = dataset->labels[i];
    }
    BW_TRY(bw__dataset_set_classes(dataset, NULL, highest + 1));
out:
    bw__blob_close(&blob);
    return st;
}

static bw_status open_file(bw_dataset *dataset, const char *path)
{
    bw_status st = BW_OK;
    bw_blob blob = { 0 };
    idx_header header;
    char labels[4608];
    BW_TRY(open_idx(&header, &blob, path));
    int64_t n = header.extent[0], h = header.extent[1], w = header.extent[2];
    int64_t c = header.dims == 4 ? header.extent[3] : 1;
    if (header.dims < 3 || (c != 1 && c != 3)) {
        st = bw_fail(BW_EDATA,
                     "%s: %d dimensions%s; images are [n, height, width] or [n, height, width, 1 or 3]", path,
                     header.dims, header.dims == 1 ? " (these are labels)" : "");
        goto out;
    }
    if (n == 0 || h == 0 || w == 0) {
        st = bw_fail(BW_EDATA, "%s: no images in it (%lld of %lld x %lld pixels)", path, (long long)n,
                     (long long)h, (long long)w);
        goto out;
    }
    bw_record_layout layout = { h, w, (size_t)(w * c), (size_t)c, c == 3 ? 1 : 0 };
    BW_TRY(bw__records_create(dataset, &layout, 1));
    BW_TRY(bw__records_add(dataset, &blob, bw__path_base(path), header.header_bytes, (size_t)(h * w * c), n));
    if (labels_path(labels, sizeof labels, path)) BW_TRY(read_labels(dataset, path, labels));
out:
    bw__blob_close(&blob);
    return st;
}

static bool is_image_name(const char *name)
{
    return strstr(name, "images") && (strstr(name, "idx3-ubyte") || strstr(name, "idx4-ubyte"));
}

static bool is_test_name(const char *name)
{
    return strstr(name, "t10k") || strstr(name, "test");
}

/* Finds the one image file of a split. *count 0: none; a .gz beside its plain file does not count. */
static bw_status find_in_folder(char *name, size_t size, int *count, const char *folder, bool test)
{
    DIR *dir = opendir(folder);
    *count = 0;
    if (!dir) return bw_fail(BW_EIO, "%s: cannot read the folder: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));) {
        if (!is_image_name(e->d_name) || is_test_name(e->d_name) != test) continue;
        size_t n = strlen(e->d_name), m = *count ? strlen(name) : 0;
        if (*count && n == m + 3 && strncmp(e->d_name, name, m) == 0) continue;
        bool plain_of_found = *count && m == n + 3 && strncmp(e->d_name, name, n) == 0;
        (void)snprintf(name, size, "%s", e->d_name);
        if (!plain_of_found) (*count)++;
    }
    closedir(dir);
    return BW_OK;
}

static bool idx_looks_like(const char *path, bool is_folder)
{
    uint8_t head[4];
    size_t got;
    char name[512];
    int n = 0;
    if (!is_folder) return bw__blob_head(path, head, sizeof head, &got) == BW_OK && is_idx_magic(head, got);
    if (find_in_folder(name, sizeof name, &n, path, false) == BW_OK && n > 0) return true;
    return find_in_folder(name, sizeof name, &n, path, true) == BW_OK && n > 0;
}

static bw_status idx_open(bw_dataset *dataset, const char *path, bw_split split, bool forced)
{
    (void)forced;
    bw_status st = BW_OK;
    char name[512], *file = NULL;
    int n = 0;
    if (!bw__path_is_folder(path)) {
        if (split == BW_SPLIT_TEST) return bw__fail_no_split(path, split);
        return open_file(dataset, path);
    }
    if (split != BW_SPLIT_TRAIN) BW_TRY(find_in_folder(name, sizeof name, &n, path, true));
    if (split == BW_SPLIT_TRAIN || (split == BW_SPLIT_ANY && n == 0))
        BW_TRY(find_in_folder(name, sizeof name, &n, path, false));
    if (n == 0) return bw__fail_no_split(path, split);
    if (n > 1)
        return bw_fail(BW_EDATA, "%s: %d IDX files of images for one split, %s among them; give one of them",
                       path, n, name);
    BW_TRY(bw__path_join(&file, path, name));
    st = open_file(dataset, file);
out:
    bw__free(file);
    return st;
}

const bw_data_format bw__format_idx = { "idx",
                                        "MNIST-style IDX files, plain or .gz, or the folder that holds them",
                                        idx_looks_like, idx_open };
