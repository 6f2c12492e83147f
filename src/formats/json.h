/* JSON for the folders above: jansson, and what is missing from it. Objects keep the order in which keys
 * were added, so equal calls give equal bytes.
 *
 * The functions that make a value return NULL only without memory, and jansson's `..._new` calls accept
 * NULL and fail, so a whole object can be built first and checked once, in bw__json_line(). */
#ifndef BW_FORMATS_JSON_H
#define BW_FORMATS_JSON_H
#include "base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Significant digits of a number that is not whole: enough for any f32. */
#define BW_JSON_DIGITS 9

/* A number; null where it is infinite or NaN, which JSON cannot say. */
json_t *bw__json_real(double x);
json_t *bw__json_reals(const double *x, int64_t n);
/* A string; bytes that are not UTF-8 (file names may have some) become U+FFFD. */
json_t *bw__json_text(const char *s);
bool bw__json_is_utf8(const char *s);

/* One line without line feed, compact; *out is released with bw__free(). `value` is borrowed and may be NULL
 * (BW_ENOMEM: it could not be built). */
BW_MUST_CHECK
bw_status bw__json_line(char **out, const json_t *value);
/* The same indented by two, with a line feed at the end. */
BW_MUST_CHECK
bw_status bw__json_pretty(char **out, const json_t *value);

/* Strict: one value, no duplicate keys. The caller releases *out with json_decref(). BW_EDATA names origin,
 * line and what is wrong; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__json_parse(json_t **out, const char *text, size_t bytes, const char *origin);
/* The same for a file. BW_EDATA also where it is missing or larger than 256 MB. */
BW_MUST_CHECK
bw_status bw__json_load(json_t **out, const char *path);
#endif
