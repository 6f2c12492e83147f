#include "cli/verdict_table.h"
#include "report/verdict_json.h"
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PAIR_WIDTH = 18, TERM_WIDTH = 11 };

/* Appends to `text`, cutting what does not fit. */
static void add(char *text, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add(char *text, size_t size, const char *fmt, ...)
{
    size_t used = strlen(text);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text + used, size - used, fmt, ap);
    va_end(ap);
}

/* With `decimals`, or four significant digits where that is SHORT. */
enum { SHORT = -1 };

static void write_number(char *text, size_t size, double x, int decimals)
{
    if (isnan(x))
        (void)snprintf(text, size, "-");
    else if (decimals == SHORT)
        (void)snprintf(text, size, "%.4g", x);
    else
        (void)snprintf(text, size, "%.*f", decimals, x);
}

static void add_number(char *text, size_t size, double x)
{
    char number[32];
    write_number(number, sizeof number, x, SHORT);
    add(text, size, "  %*s", TERM_WIDTH, number);
}

static void add_pair(char *text, size_t size, const double pair[2], double factor, int decimals)
{
    char from[32], to[32], both[80];
    write_number(from, sizeof from, factor * pair[0], decimals);
    write_number(to, sizeof to, factor * pair[1], decimals);
    (void)snprintf(both, sizeof both, "%s -> %s", from, to);
    add(text, size, "  %*s", PAIR_WIDTH, both);
}

/* Columns beside block, loss and verdict, which are always there. `change`: the loss is that of both ends of
 * the run, else of the last one. */
typedef struct columns {
    bool change, probe, rank, std, dead, terms, norm;
} columns;

/* Where one does not fit, no later one is taken in its place. */
static bool fits(int *room, int width)
{
    const bool fit = width <= *room;
    *room = fit ? *room - width : 0;
    return fit;
}

/* The most telling ones come first. width: of the terminal, 0: any. */
static columns choose(const bw_verdict *v, int width)
{
    enum { BLOCK = 5, GAP = 2, PAIR = GAP + PAIR_WIDTH, TERM = GAP + TERM_WIDTH, VERDICT = GAP + 16 };
    int room = (width > 0 ? width : INT_MAX) - BLOCK - PAIR - VERDICT;
    columns c = { .change = room >= 0 };
    c.probe = bw__verdict_has_probe(v) && fits(&room, TERM);
    c.rank = fits(&room, PAIR);
    c.std = fits(&room, PAIR);
    c.dead = fits(&room, PAIR);
    c.terms = fits(&room, v->terms * TERM);
    c.norm = fits(&room, TERM);
    return c;
}

static void heading(char *text, size_t size, const bw_verdict *v, columns c)
{
    add(text, size, "block  %*s", c.change ? PAIR_WIDTH : TERM_WIDTH, "loss");
    for (int i = 0; i < v->terms && c.terms; i++)
        add(text, size, "  %*s", TERM_WIDTH, v->term_name[i]);
    if (c.std) add(text, size, "  %*s", PAIR_WIDTH, "embedding std");
    if (c.rank) add(text, size, "  %*s", PAIR_WIDTH, "effective rank");
    if (c.dead) add(text, size, "  %*s", PAIR_WIDTH, "dead channels %");
    if (c.norm) add(text, size, "  %*s", TERM_WIDTH, "grad norm");
    if (c.probe) add(text, size, "  %*s", TERM_WIDTH, "probe %");
    add(text, size, "  verdict");
}

static void row(char *text, size_t size, const bw_verdict *v, int k, columns c)
{
    const bw_block_verdict *b = &v->block[k];
    add(text, size, "%5d", k + 1);
    if (c.change)
        add_pair(text, size, b->loss, 1.0, SHORT);
    else
        add_number(text, size, b->loss[1]);
    for (int i = 0; i < v->terms && c.terms; i++)
        add_number(text, size, b->term[i]);
    if (c.std) add_pair(text, size, b->embedding_std, 1.0, 2);
    if (c.rank) add_pair(text, size, b->effective_rank, 1.0, 1);
    if (c.dead) add_pair(text, size, b->dead_channels, 100.0, 0);
    if (c.norm) add_number(text, size, b->grad_norm);
    if (c.probe) add_number(text, size, b->probe_top1);
    add(text, size, "  %s", bw_verdict_text(b->word));
}

static bool same_reason(const bw_verdict *v, int a, int b)
{
    return strcmp(v->block[a].reason, v->block[b].reason) == 0 &&
           strcmp(v->block[a].advice, v->block[b].advice) == 0;
}

static bool said_before(const bw_verdict *v, int k)
{
    for (int before = 0; before < k; before++)
        if (same_reason(v, before, k)) return true;
    return false;
}

/* "blocks 1, 3: its loss rose ...; try ..." of all blocks whose reason is that of block k. */
static void reason_line(char *text, size_t size, const bw_verdict *v, int k)
{
    int others = 0;
    for (int i = k + 1; i < v->blocks; i++)
        others += same_reason(v, i, k);
    add(text, size, others > 0 ? "blocks %d" : "block %d", k + 1);
    for (int i = k + 1; i < v->blocks; i++)
        if (same_reason(v, i, k)) add(text, size, ", %d", i + 1);
    add(text, size, ": %s%s%s", v->block[k].reason, v->block[k].advice[0] ? "; " : "", v->block[k].advice);
}

bool cli_verdict_line(char *text, size_t size, const bw_verdict *v, int line, int width)
{
    int reason = line - 1 - v->blocks;
    text[0] = '\0';
    if (v->blocks == 0) return false;
    if (line == 0) heading(text, size, v, choose(v, width));
    if (line > 0 && line <= v->blocks) row(text, size, v, line - 1, choose(v, width));
    for (int k = 0; k < v->blocks && reason >= 0; k++)
        if (v->block[k].reason[0] && !said_before(v, k) && reason-- == 0) reason_line(text, size, v, k);
    return text[0] != '\0';
}
