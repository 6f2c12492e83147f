#include "formats/json.h"
#include "base/memory.h"
#include "formats/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t FILE_LIMIT = (size_t)256 << 20;

json_t *bw__json_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *bw__json_reals(const double *x, int64_t n)
{
    json_t *array = json_array();
    for (int64_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, bw__json_real(x[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Length of the UTF-8 sequence at s (RFC 3629, table in section 4), 0 if there is none. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, low, high; /* range of the first byte, then of the second */
        size_t length;
    } forms[] = {
        { 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 }
    };
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if (s[0] < forms[f].first || s[0] > forms[f].last) continue;
        if (forms[f].length > 1 && (s[1] < forms[f].low || s[1] > forms[f].high)) return 0;
        for (size_t i = 2; i < forms[f].length; i++)
            if (s[i] < 0x80 || s[i] > 0xbf) return 0;
        return forms[f].length;
    }
    return 0;
}

bool bw__json_is_utf8(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    while (*p) {
        size_t n = utf8_length(p);
        if (n == 0) return false;
        p += n;
    }
    return true;
}

json_t *bw__json_text(const char *s)
{
    void *clean = NULL;
    if (bw__json_is_utf8(s)) return json_string(s);
    if (bw__alloc(&clean, 3 * strlen(s) + 1) != BW_OK) return NULL;
    char *dst = clean;
    while (*s) {
        size_t n = utf8_length((const unsigned char *)s);
        memcpy(dst, n ? s : "\xef\xbf\xbd", n ? n : 3);
        dst += n ? n : 3;
        s += n ? n : 1;
    }
    json_t *value = json_string(clean);
    bw__free(clean);
    return value;
}

static bw_status dump(char **out, const json_t *value, size_t flags, const char *tail)
{
    bw_status st = BW_OK;
    void *copy = NULL;
    char *text = NULL;

    *out = NULL;
    flags |= JSON_ENCODE_ANY | JSON_REAL_PRECISION(BW_JSON_DIGITS);
    if (value) text = json_dumps(value, flags);
    if (!text) BW_TRY(bw_fail(BW_ENOMEM, "out of memory: cannot write JSON"));
    BW_TRY(bw__alloc(&copy, strlen(text) + strlen(tail) + 1));
    strcpy(copy, text);
    strcat(copy, tail);
    *out = copy;
out:
    free(text);
    return st;
}

bw_status bw__json_line(char **out, const json_t *value)
{
    return dump(out, value, JSON_COMPACT, "");
}

bw_status bw__json_pretty(char **out, const json_t *value)
{
    return dump(out, value, JSON_INDENT(2), "\n");
}

bw_status bw__json_parse(json_t **out, const char *text, size_t bytes, const char *origin)
{
    json_error_t error;
    *out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*out) return BW_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return bw_fail(BW_ENOMEM, "%s: out of memory while reading JSON", origin);
    return bw_fail(BW_EDATA, "%s:%d: not valid JSON: %s", origin, error.line, error.text);
}

bw_status bw__json_load(json_t **out, const char *path)
{
    char *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    bw_status st = bw__file_read(&text, &bytes, path, FILE_LIMIT);
    if (st == BW_OK) st = bw__json_parse(out, text, bytes, path);
    bw__free(text);
    return st == BW_EIO ? BW_EDATA : st;
}
