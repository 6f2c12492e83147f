#include "formats/npy.h"
#include "base/memory.h"
#include "formats/atomic_file.h"
#include "formats/file.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Format: numpy.lib.format, version 1.0 (and 2.0 when reading, which has a longer length field). */
enum { MAGIC_BYTES = 8, ALIGN = 64, MAX_DIMS = 8, HEADER_ROOM = 512 };
static const char MAGIC[] = "\x93NUMPY";

static const struct {
    const char *descr;
    int64_t bytes;
} TYPES[] = { [BW_NPY_F32] = { "<f4", 4 },
              [BW_NPY_F64] = { "<f8", 8 },
              [BW_NPY_I64] = { "<i8", 8 },
              [BW_NPY_U8] = { "|u1", 1 } };
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

/* Bytes of an array; false on overflow or a negative extent. */
static bool array_bytes(int64_t *out, bw_npy_dtype dtype, int ndim, const int64_t *shape)
{
    *out = TYPES[dtype].bytes;
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(*out, shape[i], out)) return false;
    return true;
}

static void write_header(FILE *f, const char *descr, int ndim, const int64_t *shape)
{
    char dims[HEADER_ROOM / 2] = "", header[HEADER_ROOM];
    for (int i = 0; i < ndim; i++) {
        size_t used = strlen(dims);
        (void)snprintf(dims + used, sizeof dims - used, i + 1 < ndim ? "%lld, " : "%lld%s",
                       (long long)shape[i], ndim == 1 ? "," : "");
    }
    int used = snprintf(header + MAGIC_BYTES + 2, sizeof header - MAGIC_BYTES - 2,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims);
    size_t text = (size_t)used + 1;
    size_t total = (MAGIC_BYTES + 2 + text + ALIGN - 1) / ALIGN * ALIGN;
    memset(header + MAGIC_BYTES + 2 + used, ' ', total - MAGIC_BYTES - 2 - (size_t)used);
    header[total - 1] = '\n';
    memcpy(header, MAGIC, 6);
    header[6] = 1;
    header[7] = 0;
    size_t length = total - MAGIC_BYTES - 2;
    header[8] = (char)(length & 0xff);
    header[9] = (char)(length >> 8);
    (void)fwrite(header, 1, total, f); /* errors are found at commit */
}

bw_status bw__npy_write(const char *path, bw_npy_dtype dtype, const void *data, int ndim,
                        const int64_t *shape)
{
    int64_t bytes;
    bw_atomic_file file;

    if (ndim < 0 || ndim > MAX_DIMS || !array_bytes(&bytes, dtype, ndim, shape))
        return bw_fail(BW_EINVAL, "%s: shape with %d dimensions cannot be written", path, ndim);
    bw_status st = bw__atomic_open(&file, path);
    if (st != BW_OK) return st;
    write_header(file.stream, TYPES[dtype].descr, ndim, shape);
    if (bytes > 0) (void)fwrite(data, 1, (size_t)bytes, file.stream);
    return bw__atomic_commit(&file);
}

/* --- text --- */

/* The character at *text, which moves behind it. A byte that is no UTF-8 becomes a half of a surrogate pair,
 * as Python's os.fsdecode() has it: no name is lost, and none becomes another's. */
static uint32_t next_character(const char **text)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *p = (const unsigned char *)*text;
    int n = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    uint32_t c = n == 1 ? *p : *p & (0x7fU >> n);
    bool good = *p < 0x80 || (*p >= 0xc2 && *p < 0xf5);
    for (int i = 1; good && i < n; i++) {
        good = (p[i] & 0xc0) == 0x80;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (!good || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        c = 0xdc00U + *p;
        n = 1;
    }
    *text += n;
    return c;
}

bw_status bw__npy_write_text(const char *path, bw_npy_text_fn text_at, const void *user, int64_t n)
{
    char text[BW_NPY_TEXT], descr[32];
    int64_t widest = 1; /* NumPy has no type of width 0 */
    bw_atomic_file file;

    for (int64_t i = 0; i < n; i++) {
        int64_t length = 0;
        text_at(user, i, text, sizeof text);
        for (const char *p = text; *p; length++)
            (void)next_character(&p);
        if (length > widest) widest = length;
    }
    bw_status st = bw__atomic_open(&file, path);
    if (st != BW_OK) return st;
    (void)snprintf(descr, sizeof descr, "<U%lld", (long long)widest);
    write_header(file.stream, descr, 1, &n);
    for (int64_t i = 0; i < n; i++) {
        uint32_t row[BW_NPY_TEXT] = { 0 };
        text_at(user, i, text, sizeof text);
        int64_t length = 0;
        for (const char *p = text; *p;)
            row[length++] = next_character(&p);
        (void)fwrite(row, sizeof *row, (size_t)widest, file.stream);
    }
    return bw__atomic_commit(&file);
}

static void skip_spaces(const char **p)
{
    while (isspace((unsigned char)**p))
        (*p)++;
}

/* Moves past `text`, and spaces before it, if it is there. */
static bool accept(const char **p, const char *text)
{
    skip_spaces(p);
    size_t n = strlen(text);
    if (strncmp(*p, text, n) != 0) return false;
    *p += n;
    return true;
}

static bool parse_descr(const char **p, bw_npy_dtype *dtype)
{
    char quoted[8];
    for (int i = 0; i < N_TYPES; i++) {
        (void)snprintf(quoted, sizeof quoted, "'%s'", TYPES[i].descr);
        if (!accept(p, quoted)) continue;
        *dtype = (bw_npy_dtype)i;
        return true;
    }
    return false;
}

static bool parse_shape(const char **p, int *ndim, int64_t *shape)
{
    *ndim = 0;
    if (!accept(p, "(")) return false;
    while (!accept(p, ")")) {
        if (*ndim == MAX_DIMS || !isdigit((unsigned char)**p)) return false;
        int64_t x = 0;
        for (; isdigit((unsigned char)**p); (*p)++)
            if (__builtin_mul_overflow(x, 10, &x) || __builtin_add_overflow(x, **p - '0', &x)) return false;
        shape[(*ndim)++] = x;
        skip_spaces(p);
        if (!accept(p, ",") && **p != ')') return false;
    }
    return true;
}

/* The header is the text of a Python dict with three keys in any order. NULL, or what is wrong with it. */
static const char *parse_header(const char *p, bw_npy_dtype *dtype, int *ndim, int64_t *shape)
{
    bool descr = false, order = false, dims = false;
    if (!accept(&p, "{")) return "header is not a dictionary";
    while (!accept(&p, "}")) {
        if (!descr && accept(&p, "'descr':")) {
            if (!parse_descr(&p, dtype)) return "type is none of <f4, <f8, <i8, |u1";
            descr = true;
        } else if (!order && accept(&p, "'fortran_order':")) {
            if (!accept(&p, "False")) return "order is not C (fortran_order is not False)";
            order = true;
        } else if (!dims && accept(&p, "'shape':")) {
            if (!parse_shape(&p, ndim, shape)) return "shape cannot be read, or has more than 8 dimensions";
            dims = true;
        } else {
            return "header has an unexpected key";
        }
        skip_spaces(&p);
        if (!accept(&p, ",") && *p != '}') return "header is damaged";
    }
    skip_spaces(&p);
    if (*p != '\0') return "header is damaged";
    return descr && order && dims ? NULL : "header lacks descr, fortran_order or shape";
}

const char *bw__npy_parse(size_t *start, bw_npy_dtype *dtype, int *ndim, int64_t *shape, const void *bytes,
                          size_t size)
{
    const unsigned char *u = bytes;
    char *header = NULL;
    int64_t want;
    if (size < MAGIC_BYTES + 4 || memcmp(u, MAGIC, 6) != 0) return "not an .npy file";
    if ((u[6] != 1 && u[6] != 2) || u[7] != 0) return "version is neither 1.0 nor 2.0";
    size_t field = u[6] == 1 ? 2 : 4, length = 0;
    for (size_t i = 0; i < field; i++)
        length |= (size_t)u[MAGIC_BYTES + i] << (8 * i);
    if (length > size - MAGIC_BYTES - field) return "header is longer than the file";
    *start = MAGIC_BYTES + field + length;
    if (bw__alloc((void **)&header, length + 1) != BW_OK) return "no memory for its header";
    memcpy(header, u + MAGIC_BYTES + field, length);
    const char *wrong = parse_header(header, dtype, ndim, shape);
    if (!wrong && strlen(header) != length) wrong = "header is damaged";
    bw__free(header);
    if (wrong) return wrong;
    if (!array_bytes(&want, *dtype, *ndim, shape) || (uint64_t)want != size - *start)
        return "number of bytes does not fit its shape";
    return NULL;
}

bw_status bw__npy_read(void **out, bw_npy_dtype *dtype, int *ndim, int64_t *shape, const char *path)
{
    bw_status st = BW_OK;
    char *text = NULL;
    size_t bytes = 0, start = 0;

    *out = NULL;
    BW_TRY(bw__file_read(&text, &bytes, path, SIZE_MAX / 4));
    const char *wrong = bw__npy_parse(&start, dtype, ndim, shape, text, bytes);
    if (wrong) BW_TRY(bw_fail(BW_EDATA, "%s: %s", path, wrong));
    /* The data moves to the front of the buffer, which is aligned. */
    memmove(text, text + start, bytes - start);
    *out = text;
    text = NULL;
out:
    bw__free(text);
    return st == BW_EIO ? BW_EDATA : st;
}
