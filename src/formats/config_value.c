/* Single values of the schema: from text, checked, to text. */
#include "base/nearest.h"
#include "formats/config_schema.h"
#include "formats/real_text.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ECHO_ROOM = 64 };

static void *place(bw_config *config, const bw_key *key)
{
    return (char *)config + key->offset;
}

static const void *const_place(const bw_config *config, const bw_key *key)
{
    return (const char *)config + key->offset;
}

/* What was given, for a message of one line. */
static const char *echo(char out[ECHO_ROOM], const char *text)
{
    size_t n = strlen(text);
    (void)snprintf(out, ECHO_ROOM, n < ECHO_ROOM ? "%s" : "%.50s...", text);
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
    return out;
}

static void append(char out[BW_KEY_TEXT], const char *text)
{
    size_t used = strlen(out);
    (void)snprintf(out + used, BW_KEY_TEXT - used, "%s", text);
}

static void append_real(char out[BW_KEY_TEXT], double x)
{
    char text[BW_REAL_TEXT];
    bw__real_format(text, x);
    append(out, text);
}

/* Lists of any length: the length, then the numbers; the structs of config.h that are lists agree. */
typedef struct real_list {
    int n;
    double at[BW_MAX_DECAYS];
} real_list;
_Static_assert(offsetof(bw_projector_config, widths) == offsetof(bw_int_list, at), "lists lie alike");

static int64_t *ints_of(void *list)
{
    return (int64_t *)(void *)((char *)list + offsetof(bw_int_list, at));
}

static const int64_t *const_ints_of(const void *list)
{
    return (const int64_t *)(const void *)((const char *)list + offsetof(bw_int_list, at));
}

static bool is_list(const bw_key *key)
{
    return key->count > 0 || key->type == BW_KEY_INTS || key->type == BW_KEY_REALS;
}

static bool is_word(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    return n > 0 && n < BW_RULE_NAME && text[n] == '\0';
}

static bool is_whole(const bw_key *key)
{
    return key->type == BW_KEY_I64 || key->type == BW_KEY_INT || key->type == BW_KEY_INTS;
}

/* Bounds of whole numbers without an exponent. */
static void append_bound(char out[BW_KEY_TEXT], const bw_key *key, double x)
{
    char text[BW_REAL_TEXT];
    if (!is_whole(key)) {
        append_real(out, x);
        return;
    }
    (void)snprintf(text, sizeof text, "%lld", (long long)x);
    append(out, text);
}

static void append_numbers_range(char out[BW_KEY_TEXT], const bw_key *key)
{
    char text[BW_REAL_TEXT];
    if (key->choices) {
        for (int i = 0; key->choices[i]; i++) {
            (void)snprintf(text, sizeof text, "%s%lld", i > 0 ? " or " : "", (long long)key->choices[i]);
            append(out, text);
        }
    } else if (key->low == key->high) {
        append(out, "only ");
        append_bound(out, key, key->low);
    } else {
        append_bound(out, key, key->low);
        append(out, "..");
        append_bound(out, key, key->high);
    }
    if (key->multiple > 0) {
        (void)snprintf(text, sizeof text, ", a multiple of %lld", (long long)key->multiple);
        append(out, text);
    }
    if (key->auto_word) {
        append(out, ", or ");
        append(out, key->auto_word);
    }
}

static void append_list_range(char out[BW_KEY_TEXT], const bw_key *key, const char *what)
{
    char text[BW_REAL_TEXT + 64];
    (void)snprintf(text, sizeof text, "a list of %d to %d %s in ", key->least, key->most, what);
    append(out, text);
    append_numbers_range(out, key);
}

void bw__key_range(char out[BW_KEY_TEXT], const bw_key *key)
{
    out[0] = '\0';
    switch (key->type) {
    case BW_KEY_BOOL:
        append(out, "true, false");
        break;
    case BW_KEY_ENUM:
        for (int i = 0; key->names[i]; i++) {
            if (i > 0) append(out, ", ");
            append(out, key->names[i]);
        }
        break;
    case BW_KEY_U64:
        append(out, "0..18446744073709551615");
        break;
    case BW_KEY_WORD:
        append(out, "at most 31 letters, digits, _ - and .");
        break;
    case BW_KEY_INTS:
        for (int i = 0; key->names && key->names[i]; i++) {
            append(out, key->names[i]);
            append(out, ", ");
        }
        if (key->names) append(out, "or ");
        append_list_range(out, key, "whole numbers");
        break;
    case BW_KEY_REALS:
        append_list_range(out, key, "numbers");
        break;
    default:
        if (key->count > 0) (void)snprintf(out, BW_KEY_TEXT, "a list of %d numbers in ", key->count);
        append_numbers_range(out, key);
    }
    if (key->ascending) append(out, ", the smaller first");
    if (key->note) {
        append(out, " (");
        append(out, key->note);
        append(out, ")");
    }
}

static bw_status refuse(const bw_key *key, const char *value, const char *what)
{
    char range[BW_KEY_TEXT], shown[ECHO_ROOM];
    bw__key_range(range, key);
    return bw_fail(BW_EINVAL, "%s: '%s' %s; allowed: %s", key->name, echo(shown, value), what, range);
}

static bool parse_i64(int64_t *out, const char *text)
{
    char *end;
    if (strspn(text + (*text == '-'), "0123456789") != strlen(text + (*text == '-'))) return false;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    *out = x;
    return end != text && *end == '\0' && errno == 0;
}

static bw_status assign_u64(bw_config *config, const bw_key *key, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long x = strtoull(text, &end, 10);
    if (*text == '\0' || strspn(text, "0123456789") != strlen(text) || errno != 0)
        return refuse(key, text, "is not a whole number in the range");
    *(uint64_t *)place(config, key) = x;
    return BW_OK;
}

static bw_status assign_whole(bw_config *config, const bw_key *key, const char *text)
{
    int64_t x;
    if (key->auto_word && strcmp(text, key->auto_word) == 0) {
        x = (int64_t)key->auto_value;
    } else {
        if (!parse_i64(&x, text)) return refuse(key, text, "is not a whole number");
        /* Before it is narrowed. */
        if (key->type == BW_KEY_INT && (x < INT32_MIN || x > INT32_MAX))
            return refuse(key, text, "is out of range");
    }
    if (key->type == BW_KEY_INT)
        *(int *)place(config, key) = (int)x;
    else
        *(int64_t *)place(config, key) = x;
    return BW_OK;
}

static bw_status assign_reals(double *x, const bw_key *key, const char *const *items, int n)
{
    for (int i = 0; i < n; i++) {
        if (key->auto_word && strcmp(items[i], key->auto_word) == 0)
            x[i] = key->auto_value;
        else if (!bw__real_parse(&x[i], items[i]))
            return refuse(key, items[i], "is not a number");
    }
    return BW_OK;
}

static bw_status assign_word(bw_config *config, const bw_key *key, const char *text)
{
    for (int i = 0; key->names[i]; i++) {
        if (strcmp(text, key->names[i]) != 0) continue;
        memcpy(place(config, key), &i, sizeof i);
        return BW_OK;
    }
    int n = 0;
    while (key->names[n])
        n++;
    const char *near = bw__nearest(text, key->names, n);
    if (!near) return refuse(key, text, "is not one of them");
    char what[128];
    (void)snprintf(what, sizeof what, "is not one of them, the nearest is '%.64s'", near);
    return refuse(key, text, what);
}

/* All of the list is written, so that equal lists are equal bytes. */
static bw_status assign_ints(int *list, const bw_key *key, const char *const *items, int n)
{
    int64_t *x = ints_of(list);
    memset(x, 0, (size_t)key->most * sizeof *x);
    *list = n;
    for (int i = 0; i < n; i++)
        if (!parse_i64(&x[i], items[i])) return refuse(key, items[i], "is not a whole number");
    return BW_OK;
}

static bw_status assign_real_list(real_list *list, const bw_key *key, const char *const *items, int n)
{
    *list = (real_list){ .n = n };
    return assign_reals(list->at, key, items, n);
}

/* A word in place of a list. */
static bw_status assign_list_word(int *list, const bw_key *key, const char *word)
{
    for (int i = 0; key->names[i]; i++) {
        if (strcmp(word, key->names[i]) != 0) continue;
        memset(ints_of(list), 0, (size_t)key->most * sizeof(int64_t));
        *list = -1 - i;
        return BW_OK;
    }
    return refuse(key, word, "is neither one of the words nor a list");
}

/* All of it is written, so that equal names are equal bytes. */
static bw_status assign_name(char *name, const bw_key *key, const char *text)
{
    if (!is_word(text)) return refuse(key, text, "is not such a name");
    memset(name, 0, BW_RULE_NAME);
    memcpy(name, text, strlen(text));
    return BW_OK;
}

static bw_status assign_unchecked(bw_config *config, const bw_key *key, const char *const *items, int n)
{
    switch (key->type) {
    case BW_KEY_U64:
        return assign_u64(config, key, items[0]);
    case BW_KEY_I64:
    case BW_KEY_INT:
        return assign_whole(config, key, items[0]);
    case BW_KEY_REAL:
        return assign_reals(place(config, key), key, items, n);
    case BW_KEY_ENUM:
        return assign_word(config, key, items[0]);
    case BW_KEY_INTS:
        return assign_ints(place(config, key), key, items, n);
    case BW_KEY_REALS:
        return assign_real_list(place(config, key), key, items, n);
    case BW_KEY_WORD:
        return assign_name(place(config, key), key, items[0]);
    case BW_KEY_BOOL:
        break;
    }
    if (strcmp(items[0], "true") != 0 && strcmp(items[0], "false") != 0)
        return refuse(key, items[0], "is neither true nor false");
    *(bool *)place(config, key) = items[0][0] == 't';
    return BW_OK;
}

bw_status bw__key_assign(bw_config *config, const bw_key *key, const char *const *items, int n, bool list)
{
    char range[BW_KEY_TEXT];
    int most = key->most > 0 ? key->most : key->count, least = key->most > 0 ? key->least : key->count;

    bw__key_range(range, key);
    if (!list && key->type == BW_KEY_INTS && key->names && items[0][0] != '\0')
        return assign_list_word(place(config, key), key, items[0]);
    if (list != is_list(key))
        return bw_fail(BW_EINVAL, "%s: %s; allowed: %s", key->name,
                       list ? "one value is wanted, not a list" : "a list is wanted, such as [1, 2]", range);
    if (list && (n < least || n > most))
        return bw_fail(BW_EINVAL, "%s: a list of %d; allowed: %s", key->name, n, range);
    if (!list && items[0][0] == '\0')
        return bw_fail(BW_EINVAL, "%s: no value is given; allowed: %s", key->name, range);
    bw_status st = assign_unchecked(config, key, items, n);
    return st == BW_OK ? bw__key_check(config, key) : st;
}

static bool number_allowed(const bw_key *key, double x)
{
    if (key->auto_word && (x == key->auto_value || (isnan(x) && isnan(key->auto_value)))) return true;
    if (!(x >= key->low && x <= key->high)) return false;
    for (int i = 0; key->choices; i++) {
        if (key->choices[i] == 0) return false;
        if (x == (double)key->choices[i]) break;
    }
    return key->multiple == 0 || (int64_t)x % key->multiple == 0;
}

static int names_count(const bw_key *key)
{
    int n = 0;
    while (key->names[n])
        n++;
    return n;
}

static bool reals_allowed(const bw_key *key, const double *x, int n)
{
    for (int i = 0; i < n; i++)
        if (!number_allowed(key, x[i]) || (key->ascending && i > 0 && x[i] < x[i - 1])) return false;
    return true;
}

static bool ints_allowed(const bw_key *key, const int *list)
{
    const int64_t *x = const_ints_of(list);
    if (*list < 0 && key->names) return -*list <= names_count(key);
    if (*list < key->least || *list > key->most) return false;
    for (int i = 0; i < *list; i++)
        if (!number_allowed(key, (double)x[i]) || (key->ascending && i > 0 && x[i] <= x[i - 1])) return false;
    return true;
}

static bool value_allowed(const bw_config *config, const bw_key *key)
{
    const void *p = const_place(config, key);
    const real_list *reals = p;
    int word;
    switch (key->type) {
    case BW_KEY_I64:
        return number_allowed(key, (double)*(const int64_t *)p);
    case BW_KEY_INT:
        return number_allowed(key, *(const int *)p);
    case BW_KEY_REAL:
        return reals_allowed(key, p, key->count > 0 ? key->count : 1);
    case BW_KEY_REALS:
        return reals->n >= key->least && reals->n <= key->most && reals_allowed(key, reals->at, reals->n);
    case BW_KEY_ENUM:
        memcpy(&word, p, sizeof word);
        return word >= 0 && word < names_count(key);
    case BW_KEY_INTS:
        return ints_allowed(key, p);
    case BW_KEY_WORD:
        return memchr(p, '\0', BW_RULE_NAME) && is_word(p);
    default:
        return true;
    }
}

bw_status bw__key_check(const bw_config *config, const bw_key *key)
{
    char value[BW_KEY_TEXT];
    if (value_allowed(config, key)) return BW_OK;
    bw__key_format(value, config, key);
    return refuse(key, value, "is out of range");
}

static void append_whole(char out[BW_KEY_TEXT], const bw_key *key, int64_t x)
{
    char text[BW_REAL_TEXT];
    (void)snprintf(text, sizeof text, "%lld", (long long)x);
    append(out, key->auto_word && (double)x == key->auto_value ? key->auto_word : text);
}

static void append_reals(char out[BW_KEY_TEXT], const bw_key *key, const double *x, int n)
{
    if (is_list(key)) append(out, "[");
    for (int i = 0; i < n; i++) {
        if (i > 0) append(out, ", ");
        if (key->auto_word && isnan(x[i]))
            append(out, key->auto_word);
        else
            append_real(out, x[i]);
    }
    if (is_list(key)) append(out, "]");
}

static void append_ints(char out[BW_KEY_TEXT], const bw_key *key, const int *list)
{
    const int64_t *x = const_ints_of(list);
    if (*list < 0 && key->names && -*list <= names_count(key)) {
        append(out, key->names[-1 - *list]);
        return;
    }
    append(out, "[");
    for (int i = 0; i < *list && i < key->most; i++) {
        if (i > 0) append(out, ", ");
        append_whole(out, key, x[i]);
    }
    append(out, "]");
}

void bw__key_format(char out[BW_KEY_TEXT], const bw_config *config, const bw_key *key)
{
    const void *p = const_place(config, key);
    const real_list *reals = p;
    int word;
    out[0] = '\0';
    switch (key->type) {
    case BW_KEY_U64:
        (void)snprintf(out, BW_KEY_TEXT, "%llu", (unsigned long long)*(const uint64_t *)p);
        break;
    case BW_KEY_I64:
        append_whole(out, key, *(const int64_t *)p);
        break;
    case BW_KEY_INT:
        append_whole(out, key, *(const int *)p);
        break;
    case BW_KEY_REAL:
        append_reals(out, key, p, key->count > 0 ? key->count : 1);
        break;
    case BW_KEY_REALS:
        append_reals(out, key, reals->at, reals->n);
        break;
    case BW_KEY_BOOL:
        append(out, *(const bool *)p ? "true" : "false");
        break;
    case BW_KEY_ENUM:
        memcpy(&word, p, sizeof word);
        if (word >= 0 && word < names_count(key))
            append(out, key->names[word]);
        else
            (void)snprintf(out, BW_KEY_TEXT, "%d", word);
        break;
    case BW_KEY_INTS:
        append_ints(out, key, p);
        break;
    case BW_KEY_WORD:
        (void)snprintf(out, BW_KEY_TEXT, "%.*s", BW_RULE_NAME - 1, (const char *)p);
        break;
    }
}

size_t bw__key_size(const bw_key *key)
{
    switch (key->type) {
    case BW_KEY_U64:
        return sizeof(uint64_t);
    case BW_KEY_I64:
        return sizeof(int64_t);
    case BW_KEY_INT:
        return sizeof(int);
    case BW_KEY_REAL:
        return sizeof(double) * (size_t)(key->count > 0 ? key->count : 1);
    case BW_KEY_BOOL:
        return sizeof(bool);
    case BW_KEY_ENUM:
        return sizeof(int);
    case BW_KEY_INTS:
        return offsetof(bw_int_list, at) + (size_t)key->most * sizeof(int64_t);
    case BW_KEY_REALS:
        return sizeof(real_list);
    case BW_KEY_WORD:
        return BW_RULE_NAME;
    }
    return 0;
}
