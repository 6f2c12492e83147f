#define _DEFAULT_SOURCE /* madvise */
#include "formats/safetensors.h"
#include "base/memory.h"
#include "formats/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The format's own limit on the JSON header; also bounds what a hostile file can make us parse. */
static const uint64_t HEADER_LIMIT = 100000000;
enum { LENGTH_BYTES = 8, MAX_DIMS = 8 };
static const char METADATA[] = "__metadata__";

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is used in place");

/* Types of the format that the header's enum does not name are read as BW_ST_OTHER. */
static const struct {
    const char *name;
    bw_st_dtype dtype;
    int64_t bytes;
} TYPES[] = {
    { "F32", BW_ST_F32, 4 },   { "F64", BW_ST_F64, 8 },       { "F16", BW_ST_F16, 2 },
    { "BF16", BW_ST_BF16, 2 }, { "I64", BW_ST_I64, 8 },       { "I32", BW_ST_I32, 4 },
    { "U8", BW_ST_U8, 1 },     { "BOOL", BW_ST_OTHER, 1 },    { "I8", BW_ST_OTHER, 1 },
    { "I16", BW_ST_OTHER, 2 }, { "U16", BW_ST_OTHER, 2 },     { "U32", BW_ST_OTHER, 4 },
    { "U64", BW_ST_OTHER, 8 }, { "F8_E4M3", BW_ST_OTHER, 1 }, { "F8_E5M2", BW_ST_OTHER, 1 },
};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

struct bw_st_file {
    void *map; /* NULL: the bytes belong to the caller */
    const char *text;
    size_t bytes;
    json_t *header; /* owns the names */
    int64_t n;
    bw_st_tensor *tensors; /* [n] by place in the file */
};

void bw__st_close(bw_st_file *file)
{
    if (!file) return;
    json_decref(file->header);
    bw__free(file->tensors);
    if (file->map) (void)munmap(file->map, file->bytes);
    bw__free(file);
}

void bw__st_drop(const bw_st_file *file, const bw_st_tensor *tensor)
{
    if (!file->map || tensor->bytes == 0) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t start = (size_t)((const char *)tensor->data - file->text) / page * page;
    size_t end = (size_t)((const char *)tensor->data - file->text) + tensor->bytes;
    (void)madvise((char *)file->map + start, end - start, MADV_DONTNEED); /* a hint; nothing depends on it */
}

static bw_status damaged(const char *path, const char *name, const char *what)
{
    return bw_fail(BW_EDATA, "%s: damaged safetensors file: tensor '%s': %s", path, name, what);
}

static bw_status map_file(bw_st_file *file, const char *path)
{
    bw_status st = BW_OK;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return bw_fail(BW_EDATA, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0) BW_TRY(bw_fail(BW_EDATA, "%s: cannot read: %s", path, strerror(errno)));
    if (!S_ISREG(info.st_mode)) BW_TRY(bw_fail(BW_EDATA, "%s: not a regular file", path));
    if (info.st_size == 0) BW_TRY(bw_fail(BW_EDATA, "%s: not a safetensors file: it is empty", path));
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) BW_TRY(bw_fail(BW_EDATA, "%s: cannot map: %s", path, strerror(errno)));
    file->map = map;
    file->text = map;
    file->bytes = (size_t)info.st_size;
out:
    (void)close(fd);
    return st;
}

static bw_status parse_header(bw_st_file *file, const char *path, size_t *data_start)
{
    bw_status st;
    uint64_t length;
    const char *text = file->text + LENGTH_BYTES;
    if (file->bytes < LENGTH_BYTES + 2)
        return bw_fail(BW_EDATA, "%s: not a safetensors file: only %zu bytes", path, file->bytes);
    memcpy(&length, file->text, sizeof length);
    if (length > HEADER_LIMIT)
        return bw_fail(BW_EDATA,
                       "%s: not a safetensors file: its first 8 bytes are not the length of a header (%llu, "
                       "the limit is %llu)",
                       path, (unsigned long long)length, (unsigned long long)HEADER_LIMIT);
    if (length > file->bytes - LENGTH_BYTES)
        return bw_fail(BW_EDATA, "%s: damaged safetensors file: header of %llu bytes in a file of %zu", path,
                       (unsigned long long)length, file->bytes);
    if (length < 2 || text[0] != '{')
        return bw_fail(BW_EDATA, "%s: not a safetensors file: its header does not begin with '{'", path);
    st = bw__json_parse(&file->header, text, (size_t)length, path);
    if (st != BW_OK) return st;
    *data_start = LENGTH_BYTES + (size_t)length;
    json_t *metadata = json_object_get(file->header, METADATA);
    if (metadata && !json_is_object(metadata))
        return bw_fail(BW_EDATA, "%s: damaged safetensors file: %s is not an object", path, METADATA);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return bw_fail(BW_EDATA, "%s: damaged safetensors file: %s '%s' is not a string", path, METADATA,
                           key);
    }
    return BW_OK;
}

/* Whole and not negative: json_integer_value() of anything else would silently be 0. */
static bool get_extent(int64_t *out, const json_t *value)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

static bw_status parse_shape(bw_st_tensor *t, int64_t *bytes, const json_t *shape, const char *path)
{
    if (!json_is_array(shape)) return damaged(path, t->name, "no shape");
    if (json_array_size(shape) > MAX_DIMS) return damaged(path, t->name, "more than 8 dimensions");
    t->ndim = (int)json_array_size(shape);
    for (int i = 0; i < t->ndim; i++) {
        if (!get_extent(&t->shape[i], json_array_get(shape, (size_t)i)))
            return damaged(path, t->name, "an extent is not a whole number >= 0");
        if (__builtin_mul_overflow(*bytes, t->shape[i], bytes))
            return damaged(path, t->name, "its size overflows");
    }
    return BW_OK;
}

static bw_status parse_tensor(bw_st_tensor *t, const json_t *info, const char *path, const char *data,
                              size_t data_bytes)
{
    int64_t begin, end, bytes = -1;
    const char *type = json_string_value(json_object_get(info, "dtype"));
    const json_t *offsets = json_object_get(info, "data_offsets");

    if (!type) return damaged(path, t->name, "no dtype");
    for (int i = 0; i < N_TYPES; i++) {
        if (strcmp(type, TYPES[i].name) != 0) continue;
        t->dtype = TYPES[i].dtype;
        bytes = TYPES[i].bytes;
    }
    if (bytes < 0) return damaged(path, t->name, "unknown dtype");
    bw_status st = parse_shape(t, &bytes, json_object_get(info, "shape"), path);
    if (st != BW_OK) return st;
    if (json_array_size(offsets) != 2 || !get_extent(&begin, json_array_get(offsets, 0)) ||
        !get_extent(&end, json_array_get(offsets, 1)))
        return damaged(path, t->name, "data_offsets are not two whole numbers >= 0");
    if (begin > end) return damaged(path, t->name, "data ends before it begins");
    if ((uint64_t)end > data_bytes) return damaged(path, t->name, "data reaches past the end of the file");
    if (end - begin != bytes) return damaged(path, t->name, "number of bytes does not fit dtype and shape");
    t->data = data + begin;
    t->bytes = (size_t)bytes;
    return BW_OK;
}

static int by_place(const void *a, const void *b)
{
    const bw_st_tensor *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bw_status check_places(const bw_st_file *file, const char *path, const char *data, size_t data_bytes)
{
    const char *at = data;
    for (int64_t i = 0; i < file->n; i++) {
        const bw_st_tensor *t = &file->tensors[i];
        if ((const char *)t->data < at) return damaged(path, t->name, "data overlaps another tensor's");
        if ((const char *)t->data > at) return damaged(path, t->name, "a hole lies before its data");
        at += t->bytes;
    }
    if (at != data + data_bytes)
        return bw_fail(BW_EDATA, "%s: damaged safetensors file: %zu bytes at the end belong to no tensor",
                       path, (size_t)(data + data_bytes - at));
    return BW_OK;
}

static bw_status read_tensors(bw_st_file *file, const char *path)
{
    bw_status st = BW_OK;
    size_t start = 0;
    const char *name;
    json_t *info;

    BW_TRY(parse_header(file, path, &start));
    const char *data = file->text + start;
    size_t data_bytes = file->bytes - start;
    BW_TRY(BW_ALLOC(&file->tensors, json_object_size(file->header)));
    json_object_foreach(file->header, name, info)
    {
        if (strcmp(name, METADATA) == 0) continue;
        bw_st_tensor *t = &file->tensors[file->n++];
        t->name = name;
        BW_TRY(parse_tensor(t, info, path, data, data_bytes));
    }
    qsort(file->tensors, (size_t)file->n, sizeof *file->tensors, by_place);
    BW_TRY(check_places(file, path, data, data_bytes));
out:
    return st;
}

/* `memory` NULL: the file at `path`. */
static bw_status open_either(bw_st_file **out, const void *memory, size_t bytes, const char *path)
{
    bw_status st = BW_OK;
    bw_st_file *file = NULL;

    *out = NULL;
    BW_TRY(BW_ALLOC(&file, 1));
    file->text = memory;
    file->bytes = bytes;
    if (!memory) BW_TRY(map_file(file, path));
    BW_TRY(read_tensors(file, path));
    *out = file;
    file = NULL;
out:
    bw__st_close(file);
    return st;
}

bw_status bw__st_open(bw_st_file **out, const char *path)
{
    return open_either(out, NULL, 0, path);
}

bw_status bw__st_open_memory(bw_st_file **out, const void *data, size_t bytes, const char *origin)
{
    return open_either(out, data ? data : "", bytes, origin);
}

bw_status bw__st_wrap(bw_st_file **out, const bw_st_tensor *tensors, int64_t n, const bw_st_pair *pair)
{
    bw_status st = BW_OK;
    bw_st_file *file = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&file, 1));
    BW_TRY(BW_ALLOC(&file->tensors, n + 1));
    if (n > 0) memcpy(file->tensors, tensors, (size_t)n * sizeof *tensors);
    file->n = n;
    file->header = pair ? json_pack("{s:{s:s}}", METADATA, pair->key, pair->value) : json_object();
    if (!file->header) BW_TRY(bw_fail(BW_ENOMEM, "out of memory: names of tensors"));
    *out = file;
    file = NULL;
out:
    bw__st_close(file);
    return st;
}

int64_t bw__st_count(const bw_st_file *file)
{
    return file->n;
}

const bw_st_tensor *bw__st_at(const bw_st_file *file, int64_t i)
{
    return &file->tensors[i];
}

const bw_st_tensor *bw__st_find(const bw_st_file *file, const char *name)
{
    for (int64_t i = 0; i < file->n; i++)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

const char *bw__st_metadata(const bw_st_file *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, METADATA), key));
}

bool bw__st_metadata_at(bw_st_pair *out, const bw_st_file *file, int64_t i)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(file->header, METADATA), key, value)
    {
        if (i-- > 0) continue;
        *out = (bw_st_pair){ .key = key, .value = json_string_value(value) };
        return true;
    }
    return false;
}

/* IEEE 754 half to single; every half is exact in single. */
static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = (h >> 10) & 31, fraction = h & 1023u, bits;
    float f;
    if (exponent == 31) {
        bits = sign | 0x7f800000u | (fraction << 13);
    } else if (exponent > 0) {
        bits = sign | ((exponent + 112) << 23) | (fraction << 13);
    } else {
        f = (float)fraction * 0x1p-24f; /* zero and subnormal halves */
        return sign ? -f : f;
    }
    memcpy(&f, &bits, sizeof f);
    return f;
}

bw_status bw__st_to_f32(float *dst, const bw_st_tensor *tensor)
{
    const unsigned char *src = tensor->data;
    uint16_t half;
    uint32_t bits;
    double wide;
    switch (tensor->dtype) {
    case BW_ST_F32:
        if (tensor->bytes > 0) memcpy(dst, src, tensor->bytes);
        return BW_OK;
    case BW_ST_F64:
        for (size_t i = 0; i < tensor->bytes / 8; i++) {
            memcpy(&wide, src + 8 * i, 8);
            dst[i] = (float)wide;
        }
        return BW_OK;
    case BW_ST_F16:
        for (size_t i = 0; i < tensor->bytes / 2; i++) {
            memcpy(&half, src + 2 * i, 2);
            dst[i] = half_to_float(half);
        }
        return BW_OK;
    case BW_ST_BF16:
        for (size_t i = 0; i < tensor->bytes / 2; i++) {
            memcpy(&half, src + 2 * i, 2);
            bits = (uint32_t)half << 16;
            memcpy(&dst[i], &bits, 4);
        }
        return BW_OK;
    default:
        return bw_fail(BW_EDATA, "tensor '%s' is not of a floating-point type (F32, F64, F16, BF16)",
                       tensor->name);
    }
}
