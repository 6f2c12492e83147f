/* Hints for words and paths that were mistyped. */
#ifndef BW_BASE_NEAREST_H
#define BW_BASE_NEAREST_H
#include <stddef.h>

/* Distance of the first 127 bytes: how many letters must change, come, go, or change places with the next
 * one, none of them twice (optimal string alignment). */
int bw__word_distance(const char *a, const char *b);

/* The entry of `words` [n] nearest to `word`, which may be its beginning; NULL where none is near. */
const char *bw__nearest(const char *word, const char *const *words, int n);

/* What goes behind "PATH: no such file or folder": where it was looked for, or which part of it is missing,
 * and the name there that is nearest. `text` becomes "" where nothing helps. */
void bw__missing_hint(char *text, size_t size, const char *path);
#endif
