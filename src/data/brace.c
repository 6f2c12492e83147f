#include "data/brace.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bw__words_clear(bw_words *words)
{
    for (int64_t i = 0; i < words->n; i++)
        bw__free(words->at[i]);
    bw__free(words->at);
    *words = (bw_words){ 0 };
}

bw_status bw__words_add(bw_words *words, const char *text, size_t length)
{
    if (words->n == words->room) {
        char **more;
        bw_status st = BW_ALLOC(&more, 2 * words->room + 16);
        if (st != BW_OK) return st;
        if (words->n) memcpy(more, words->at, (size_t)words->n * sizeof *more);
        bw__free(words->at);
        words->at = more;
        words->room = 2 * words->room + 16;
    }
    bw_status st = bw__alloc((void **)&words->at[words->n], length + 1);
    if (st != BW_OK) return st;
    memcpy(words->at[words->n++], text, length);
    return BW_OK;
}

/* What stands in a pair of braces. */
typedef struct group {
    const char *open, *close; /* the braces */
    bool range;
    long first, last, step;
    int width; /* of padded numbers, or 0 */
} group;

/* A whole number at *p, which moves behind it; *width is its length where it is padded with zeros. */
static bool take_number(const char **p, long *value, int *width)
{
    const char *digits = **p == '-' ? *p + 1 : *p;
    char *end;
    if (*digits < '0' || *digits > '9') return false;
    errno = 0;
    *value = strtol(*p, &end, 10);
    if (errno != 0 || *value > INT32_MAX || *value < INT32_MIN) return false;
    *width = *digits == '0' && end - digits > 1 ? (int)(end - *p) : 0;
    *p = end;
    return true;
}

static bool is_range(group *g)
{
    const char *p = g->open + 1, *start = p;
    int w[3] = { 0, 0, 0 };
    int lengths[2];
    g->step = 1;
    if (!take_number(&p, &g->first, &w[0]) || strncmp(p, "..", 2) != 0) return false;
    lengths[0] = (int)(p - start);
    start = p += 2;
    if (!take_number(&p, &g->last, &w[1])) return false;
    lengths[1] = (int)(p - start);
    if (strncmp(p, "..", 2) == 0) {
        p += 2;
        if (!take_number(&p, &g->step, &w[2])) return false;
    }
    if (g->step < 0) g->step = -g->step;
    if (g->step == 0) g->step = 1;
    if (w[0] || w[1]) g->width = lengths[0] > lengths[1] ? lengths[0] : lengths[1];
    return p == g->close;
}

/* The end of the alternative that begins at `p`: a comma or the brace that closes it, NULL if there is none.
 */
static const char *alternative_end(const char *p)
{
    for (int depth = 0; *p; p++) {
        if (*p == '{') depth++;
        if (depth == 0 && (*p == ',' || *p == '}')) return p;
        if (*p == '}') depth--;
    }
    return NULL;
}

/* The first pair of braces from `text` on that means something. */
static bool find_group(group *g, const char *text)
{
    for (const char *open = strchr(text, '{'); open; open = strchr(open + 1, '{')) {
        const char *end = alternative_end(open + 1);
        *g = (group){ .open = open };
        bool comma = end && *end == ',';
        while (end && *end == ',')
            end = alternative_end(end + 1);
        if (!end) continue;
        g->close = end;
        g->range = !comma && is_range(g);
        if (comma || g->range) return true;
    }
    return false;
}

bool bw__brace_has(const char *text)
{
    group g;
    return find_group(&g, text);
}

static bw_status expand(bw_words *out, const char *text, size_t from);

/* The text with `n` bytes of `word` in place of the group, expanded further from there. */
static bw_status put(bw_words *out, const char *text, const group *g, const char *word, size_t n)
{
    const size_t head = (size_t)(g->open - text), tail = strlen(g->close + 1);
    char *whole = NULL;
    bw_status st = bw__alloc((void **)&whole, head + n + tail + 1);
    if (st != BW_OK) return st;
    memcpy(whole, text, head);
    memcpy(whole + head, word, n);
    memcpy(whole + head + n, g->close + 1, tail);
    st = expand(out, whole, head);
    bw__free(whole);
    return st;
}

static bw_status expand(bw_words *out, const char *text, size_t from)
{
    bw_status st = BW_OK;
    group g;
    char number[32];
    if (!find_group(&g, text + from)) {
        if (out->n == BW_MAX_WORDS)
            return bw_fail(BW_EINVAL, "%s: more than %d names; give fewer at a time", text, BW_MAX_WORDS);
        return bw__words_add(out, text, strlen(text));
    }
    if (!g.range) {
        for (const char *p = g.open + 1;;) {
            const char *end = alternative_end(p);
            BW_TRY(put(out, text, &g, p, (size_t)(end - p)));
            if (end == g.close) break;
            p = end + 1;
        }
        goto out;
    }
    const long step = g.first <= g.last ? g.step : -g.step;
    for (long i = g.first; step > 0 ? i <= g.last : i >= g.last; i += step) {
        (void)snprintf(number, sizeof number, "%0*ld", g.width < 20 ? g.width : 20, i);
        BW_TRY(put(out, text, &g, number, strlen(number)));
    }
out:
    return st;
}

bw_status bw__brace_expand(bw_words *out, const char *pattern)
{
    *out = (bw_words){ 0 };
    return expand(out, pattern, 0);
}
