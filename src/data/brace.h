/* Brace patterns, as bash expands them: how shards are named together, as in train-{000000..000146}.tar. */
#ifndef BW_DATA_BRACE_H
#define BW_DATA_BRACE_H
#include "base/memory.h"
#include <stdbool.h>

typedef struct bw_words {
    char **at; /* [n] */
    int64_t n, room;
} bw_words;

void bw__words_clear(bw_words *words);
BW_MUST_CHECK
bw_status bw__words_add(bw_words *words, const char *text, size_t length);

/* Whether `text` has a brace that would be expanded. */
bool bw__brace_has(const char *text);

/* All words of the pattern in bash's order: {a,b}, {000..146} (padded with zeros where a bound is),
 * {1..9..2}, one inside of the other. Braces that are neither stay as they are. *out is to be cleared in any
 * case. BW_EINVAL: more than BW_MAX_WORDS words; BW_ENOMEM. */
#define BW_MAX_WORDS 1000000
BW_MUST_CHECK
bw_status bw__brace_expand(bw_words *out, const char *pattern);
#endif
