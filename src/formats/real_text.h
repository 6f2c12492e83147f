/* Numbers as text, with a decimal point whatever the locale of the process. */
#ifndef BW_FORMATS_REAL_TEXT_H
#define BW_FORMATS_REAL_TEXT_H
#include <stdbool.h>
#include <stddef.h>

#define BW_REAL_TEXT 40

/* The whole of `text` as a finite decimal number; false if it is anything else. */
bool bw__real_parse(double *out, const char *text);
/* The fewest digits that read back as the same number. `out` has room for BW_REAL_TEXT. */
void bw__real_format(char *out, double x);
#endif
