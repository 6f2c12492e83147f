#include "formats/torch_file.h"
#include "base/memory.h"
#include "formats/pickle.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

/* Limits that only a hostile file meets. Tensors may share a storage, as tied weights do, which is read for
 * each: all together have at most SHARES times the bytes of the file, and READS times are read. */
enum { DEPTH = 8, NAME_ROOM = 256, MOST_TENSORS = 65536, MOST_STEPS = 1 << 20, SHARES = 16, READS = 256 };
static const uint64_t PICKLE_LIMIT = 16 << 20;

typedef struct found {
    bw_st_tensor tensor;
    char name[NAME_ROOM];
    uint32_t value;
    void *data;
} found;

struct bw_torch_file {
    char *path, *prefix; /* prefix: folder within the archive, with its slash */
    zip_t *zip;
    uint8_t *text;
    bw_pickle *pickle;
    found *tensors;
    int64_t n, room, steps;
    uint64_t bytes;        /* of the file */
    size_t total, storage; /* of all tensors, and of the storage of each */
};

static const struct {
    bw_pickle_name name;
    bw_st_dtype dtype;
    int64_t bytes;
} TYPES[] = {
    { BW_NAME_FLOAT, BW_ST_F32, 4 }, { BW_NAME_DOUBLE, BW_ST_F64, 8 },    { BW_NAME_HALF, BW_ST_F16, 2 },
    { BW_NAME_LONG, BW_ST_I64, 8 },  { BW_NAME_BFLOAT16, BW_ST_BF16, 2 }, { BW_NAME_INT, BW_ST_I32, 4 },
    { BW_NAME_BYTE, BW_ST_U8, 1 },
};
enum { N_TYPES = sizeof TYPES / sizeof TYPES[0] };

static int type_of(bw_pickle_name name)
{
    for (int i = 0; i < N_TYPES; i++)
        if (TYPES[i].name == name) return i;
    return 0; /* the pickle has no other storages */
}

/* First bytes: of a zip archive; and of a pickle, as files of torch.save() before 1.6 begin. */
static bool begins_with(const char *path, bool *is_zip)
{
    unsigned char head[4] = { 0 };
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) (void)fclose(f);
    *is_zip = n == 4 && memcmp(head, "PK\3\4", 4) == 0;
    return *is_zip || (n == 4 && head[0] == 0x80 && head[1] == 2 && head[2] == 0x8a);
}

bool bw__torch_looks_like(const char *path)
{
    bool is_zip;
    return begins_with(path, &is_zip);
}

/* PyTorch never compresses, so what is compressed is no work of it, and nothing that is read can be larger
 * than the file. */
static bw_status check_stored(const zip_stat_t *info, const bw_torch_file *f, const char *name)
{
    const zip_uint64_t want = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((info->valid & want) != want || info->comp_method != ZIP_CM_STORE)
        return bw_fail(
            BW_EDATA,
            "%s: %s in it is compressed, as torch.save() never does; load it in PyTorch and save it "
            "again",
            f->path, name);
    if (info->size != info->comp_size || info->size > f->bytes)
        return bw_fail(BW_EDATA, "%s: damaged: %s claims %" PRIu64 " bytes", f->path, name,
                       (uint64_t)info->size);
    return BW_OK;
}

/* A whole file of the archive, which must have `bytes` bytes, or at most `limit` where that is not 0. */
static bw_status read_entry(void **out, size_t *out_bytes, bw_torch_file *f, const char *name, uint64_t limit,
                            uint64_t bytes)
{
    bw_status st = BW_OK;
    zip_stat_t info;
    zip_file_t *entry = NULL;
    void *data = NULL;
    *out = NULL;
    zip_stat_init(&info);
    if (zip_stat(f->zip, name, 0, &info) != 0)
        return bw_fail(BW_EDATA, "%s: damaged: %s is not in the archive", f->path, name);
    BW_TRY(check_stored(&info, f, name));
    if (limit > 0 ? info.size > limit : info.size != bytes)
        return bw_fail(BW_EDATA, "%s: damaged: %s has %" PRIu64 " bytes", f->path, name, (uint64_t)info.size);
    BW_TRY(bw__alloc(&data, (size_t)info.size + 1));
    entry = zip_fopen(f->zip, name, 0);
    /* libzip compares the checksum when the last byte is read. */
    if (!entry || zip_fread(entry, data, info.size) != (zip_int64_t)info.size ||
        zip_fread(entry, (char *)data + info.size, 1) != 0)
        BW_TRY(bw_fail(BW_EDATA, "%s: damaged: %s cannot be read: %s", f->path, name,
                       entry ? zip_file_strerror(entry) : zip_strerror(f->zip)));
    *out = data;
    *out_bytes = (size_t)info.size;
    data = NULL;
out:
    if (entry) (void)zip_fclose(entry);
    bw__free(data);
    return st;
}

/* --- what there is --- */

static bw_status add_tensor(bw_torch_file *f, const char *name, uint32_t value)
{
    bw_status st = BW_OK;
    const bw_pickle_value *v = bw__pickle_at(f->pickle, value),
                          *storage = bw__pickle_at(f->pickle, v->storage);
    if (f->n == MOST_TENSORS) return bw_fail(BW_EDATA, "%s: it has too many tensors", f->path);
    if (f->n == f->room) {
        found *more = NULL;
        BW_TRY(BW_ALLOC(&more, 2 * f->room + 256));
        if (f->n > 0) memcpy(more, f->tensors, (size_t)f->n * sizeof *more);
        bw__free(f->tensors);
        f->tensors = more;
        f->room = 2 * f->room + 256;
    }
    found *t = &f->tensors[f->n++];
    int type = type_of(storage->name);
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    t->value = value;
    t->tensor = (bw_st_tensor){ .dtype = TYPES[type].dtype, .ndim = v->ndim };
    t->tensor.bytes = (size_t)TYPES[type].bytes;
    for (int d = 0; d < v->ndim; d++) {
        t->tensor.shape[d] = v->shape[d];
        if (__builtin_mul_overflow(t->tensor.bytes, (size_t)v->shape[d], &t->tensor.bytes))
            return bw_fail(BW_EDATA, "%s: %s is too large", f->path, name);
    }
    size_t storage_bytes;
    if (__builtin_add_overflow(f->total, t->tensor.bytes, &f->total) || f->total / SHARES > f->bytes ||
        __builtin_mul_overflow((size_t)TYPES[type].bytes, (size_t)storage->number, &storage_bytes) ||
        __builtin_add_overflow(f->storage, storage_bytes, &f->storage) || f->storage / READS > f->bytes)
        return bw_fail(BW_EDATA, "%s: damaged: its tensors are far larger than the file", f->path);
out:
    return st;
}

/* Dicts within dicts; keys that are no strings lead to an optimiser's state, not to weights. */
static bw_status walk(bw_torch_file *f, const char *name, uint32_t value, int depth)
{
    bw_status st = BW_OK;
    const bw_pickle_value *v = bw__pickle_at(f->pickle, value);
    if (++f->steps > MOST_STEPS)
        return bw_fail(BW_EDATA, "%s: damaged: its dicts hold each other again and again", f->path);
    if (v->kind == BW_PICKLE_TENSOR) return add_tensor(f, name, value);
    if (v->kind != BW_PICKLE_DICT || depth == DEPTH) return BW_OK;
    for (uint32_t i = 0; i + 1 < v->items && st == BW_OK; i += 2) {
        char inner[NAME_ROOM];
        const bw_pickle_value *key = bw__pickle_at(f->pickle, v->item[i]);
        if (key->kind != BW_PICKLE_TEXT || key->length >= NAME_ROOM) continue;
        int n =
            snprintf(inner, sizeof inner, "%s%s%.*s", name, name[0] ? "." : "", (int)key->length, key->text);
        if (n >= (int)sizeof inner) continue;
        st = walk(f, inner, v->item[i + 1], depth + 1);
    }
    return st;
}

/* "archive/" of "archive/data.pkl" */
static bw_status find_prefix(bw_torch_file *f)
{
    static const char pickle[] = "data.pkl";
    for (zip_int64_t i = 0; i < zip_get_num_entries(f->zip, 0); i++) {
        const char *name = zip_get_name(f->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        size_t length = name ? strlen(name) : 0;
        if (length < sizeof pickle || strcmp(name + length - (sizeof pickle - 1), pickle) != 0) continue;
        bw_status st = bw__strdup(&f->prefix, name);
        if (st == BW_OK) f->prefix[length - (sizeof pickle - 1)] = '\0';
        return st;
    }
    return bw_fail(BW_EDATA, "%s: a zip archive, but not of torch.save(): there is no data.pkl in it",
                   f->path);
}

static bw_status check_byte_order(bw_torch_file *f)
{
    char name[NAME_ROOM];
    void *text = NULL;
    size_t bytes = 0;
    (void)snprintf(name, sizeof name, "%.200sbyteorder", f->prefix);
    if (zip_name_locate(f->zip, name, 0) < 0) return BW_OK; /* before PyTorch 2.1 there was but one */
    bw_status st = read_entry(&text, &bytes, f, name, 16, 0);
    if (st == BW_OK && strncmp(text, "little", 6) != 0)
        st = bw_fail(BW_EDATA, "%s: its numbers have the byte order of another kind of machine", f->path);
    bw__free(text);
    return st;
}

static bw_status open_archive(bw_torch_file *f)
{
    int code = 0;
    bool is_zip;
    struct stat info;
    if (access(f->path, R_OK) != 0 || stat(f->path, &info) != 0)
        return bw_fail(BW_EDATA, "%s: cannot be opened: %s", f->path, strerror(errno));
    f->bytes = (uint64_t)info.st_size;
    if (begins_with(f->path, &is_zip) && !is_zip)
        return bw_fail(BW_EDATA,
                       "%s: a file of PyTorch before 1.6; load it there and save it again with "
                       "torch.save(torch.load(FILE), FILE)",
                       f->path);
    f->zip = zip_open(f->path, ZIP_RDONLY, &code);
    if (f->zip) return BW_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    bw_status st =
        bw_fail(BW_EDATA, "%s: not a whole file of torch.save(): %s", f->path, zip_error_strerror(&error));
    zip_error_fini(&error);
    return st;
}

bw_status bw__torch_open(bw_torch_file **out, const char *path)
{
    bw_status st = BW_OK;
    bw_torch_file *f = NULL;
    void *text = NULL;
    char name[NAME_ROOM];
    size_t bytes = 0;
    *out = NULL;
    BW_TRY(BW_ALLOC(&f, 1));
    BW_TRY(bw__strdup(&f->path, path));
    BW_TRY(open_archive(f));
    BW_TRY(find_prefix(f));
    BW_TRY(check_byte_order(f));
    (void)snprintf(name, sizeof name, "%.200sdata.pkl", f->prefix);
    BW_TRY(read_entry(&text, &bytes, f, name, PICKLE_LIMIT, 0));
    f->text = text;
    BW_TRY(bw__pickle_read(&f->pickle, text, bytes, path));
    BW_TRY(walk(f, "", bw__pickle_root(f->pickle), 0));
    for (int64_t i = 0; i < f->n; i++) /* the list does not move any more */
        f->tensors[i].tensor.name = f->tensors[i].name;
    *out = f;
    f = NULL;
out:
    bw__torch_close(f);
    return st;
}

void bw__torch_close(bw_torch_file *f)
{
    if (!f) return;
    for (int64_t i = 0; i < f->n; i++)
        bw__free(f->tensors[i].data);
    bw__free(f->tensors);
    bw__pickle_free(f->pickle);
    bw__free(f->text);
    if (f->zip) zip_discard(f->zip);
    bw__free(f->prefix);
    bw__free(f->path);
    bw__free(f);
}

int64_t bw__torch_count(const bw_torch_file *file)
{
    return file->n;
}

const bw_st_tensor *bw__torch_at(const bw_torch_file *file, int64_t i)
{
    return &file->tensors[i].tensor;
}

/* --- numbers --- */

/* From the storage to row-major order, dimension by dimension. */
static void gather(char **to, const char *storage, const bw_pickle_value *v, int64_t size, int dim,
                   int64_t at)
{
    if (dim == v->ndim) {
        memcpy(*to, storage + at * size, (size_t)size);
        *to += size;
        return;
    }
    for (int64_t i = 0; i < v->shape[dim]; i++)
        gather(to, storage, v, size, dim + 1, at + i * v->stride[dim]);
}

bw_status bw__torch_read(bw_torch_file *f, int64_t i)
{
    bw_status st = BW_OK;
    found *t = &f->tensors[i];
    const bw_pickle_value *v = bw__pickle_at(f->pickle, t->value), *s = bw__pickle_at(f->pickle, v->storage);
    const int64_t size = TYPES[type_of(s->name)].bytes;
    char name[NAME_ROOM];
    void *storage = NULL;
    size_t bytes = 0;
    int64_t expected;
    if (t->data) return BW_OK;
    if (__builtin_mul_overflow(s->number, size, &expected))
        return bw_fail(BW_EDATA, "%s: %s is too large", f->path, t->name);
    (void)snprintf(name, sizeof name, "%.150sdata/%.*s", f->prefix, s->length > 64 ? 64 : (int)s->length,
                   s->text);
    BW_TRY(read_entry(&storage, &bytes, f, name, 0, (uint64_t)expected));
    BW_TRY(bw__alloc(&t->data, t->tensor.bytes + 1));
    char *to = t->data;
    if (t->tensor.bytes > 0) gather(&to, storage, v, size, 0, v->number);
    t->tensor.data = t->data;
out:
    bw__free(storage);
    return st;
}
