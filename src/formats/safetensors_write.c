#include "base/memory.h"
#include "formats/atomic_file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include <stdlib.h>
#include <string.h>

/* Type names and sizes by bw_st_dtype; BW_ST_OTHER cannot be written. */
static const struct {
    const char *name;
    int64_t bytes;
} TYPES[BW_ST_OTHER] = { [BW_ST_F32] = { "F32", 4 },   [BW_ST_F64] = { "F64", 8 }, [BW_ST_F16] = { "F16", 2 },
                         [BW_ST_BF16] = { "BF16", 2 }, [BW_ST_I64] = { "I64", 8 }, [BW_ST_I32] = { "I32", 4 },
                         [BW_ST_U8] = { "U8", 1 } };

static bw_status no_memory(void)
{
    return bw_fail(BW_ENOMEM, "out of memory: header of a safetensors file");
}

static bw_status check_tensor(const bw_st_tensor *t)
{
    if (!bw__json_is_utf8(t->name) || strcmp(t->name, "__metadata__") == 0)
        return bw_fail(BW_EINVAL, "tensor name '%s' cannot be written", t->name);
    if ((unsigned)t->dtype >= BW_ST_OTHER || t->ndim < 0 || t->ndim > 8)
        return bw_fail(BW_EINVAL, "tensor '%s': type or number of dimensions cannot be written", t->name);
    int64_t bytes = TYPES[t->dtype].bytes;
    for (int i = 0; i < t->ndim; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(bytes, t->shape[i], &bytes)) bytes = INT64_MIN;
    if (bytes < 0 || (uint64_t)bytes != t->bytes)
        return bw_fail(BW_EINVAL, "tensor '%s': %zu bytes do not fit its type and shape", t->name, t->bytes);
    return BW_OK;
}

static bw_status add_tensor(json_t *header, const bw_st_tensor *t, int64_t *offset)
{
    bw_status st = check_tensor(t);
    if (st != BW_OK) return st;
    if (json_object_get(header, t->name)) return bw_fail(BW_EINVAL, "two tensors named '%s'", t->name);
    json_t *shape = json_array();
    for (int i = 0; i < t->ndim; i++)
        if (json_array_append_new(shape, json_integer(t->shape[i])) != 0) {
            json_decref(shape);
            return no_memory();
        }
    int64_t end = *offset + (int64_t)t->bytes;
    json_t *info = json_pack("{s:s, s:o, s:[I,I]}", "dtype", TYPES[t->dtype].name, "shape", shape,
                             "data_offsets", (json_int_t)*offset, (json_int_t)end);
    *offset = end;
    return json_object_set_new(header, t->name, info) == 0 ? BW_OK : no_memory();
}

static bw_status add_metadata(json_t *header, const bw_st_pair *pairs, int64_t n)
{
    json_t *metadata = json_object();
    if (!metadata || json_object_set_new(header, "__metadata__", metadata) != 0) return no_memory();
    for (int64_t i = 0; i < n; i++) {
        if (!bw__json_is_utf8(pairs[i].key) || json_object_get(metadata, pairs[i].key))
            return bw_fail(BW_EINVAL, "metadata key '%s' cannot be written", pairs[i].key);
        if (json_object_set_new(metadata, pairs[i].key, bw__json_text(pairs[i].value)) != 0)
            return no_memory();
    }
    return BW_OK;
}

bw_status bw__st_write(const char *path, const bw_st_tensor *tensors, int64_t n, const bw_st_pair *metadata,
                       int64_t n_metadata)
{
    bw_status st = BW_OK;
    bw_atomic_file file = { 0 };
    char *text = NULL;
    int64_t offset = 0;
    json_t *header = json_object();

    if (!header) BW_TRY(no_memory());
    if (n_metadata > 0) BW_TRY(add_metadata(header, metadata, n_metadata));
    for (int64_t i = 0; i < n; i++)
        BW_TRY(add_tensor(header, &tensors[i], &offset));
    BW_TRY(bw__json_line(&text, header));

    /* Padded with spaces so that the data starts at a multiple of 8. */
    uint64_t used = strlen(text), length = (used + 7) / 8 * 8;
    BW_TRY(bw__atomic_open(&file, path));
    (void)fwrite(&length, sizeof length, 1, file.stream); /* a failure is found at commit */
    (void)fwrite(text, 1, used, file.stream);
    (void)fwrite("       ", 1, length - used, file.stream);
    for (int64_t i = 0; i < n; i++)
        if (tensors[i].bytes > 0) (void)fwrite(tensors[i].data, 1, tensors[i].bytes, file.stream);
    BW_TRY(bw__atomic_commit(&file));
out:
    bw__atomic_abandon(&file);
    bw__free(text);
    json_decref(header);
    return st;
}
