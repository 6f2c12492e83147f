#include "formats/real_text.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without memory for a locale object the process's own locale stays in use. */
static locale_t enter_c_locale(locale_t *made)
{
    *made = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *made ? uselocale(*made) : (locale_t)0;
}

static void leave_c_locale(locale_t made, locale_t before)
{
    if (!made) return;
    (void)uselocale(before);
    freelocale(made);
}

bool bw__real_parse(double *out, const char *text)
{
    locale_t made, before;
    char *end;
    /* strtod alone would also take spaces, hexadecimal, "inf" and "nan". */
    if (*text == '\0' || strspn(text, "+-.0123456789eE") != strlen(text)) return false;
    before = enter_c_locale(&made);
    *out = strtod(text, &end);
    leave_c_locale(made, before);
    return *end == '\0' && end != text && isfinite(*out);
}

void bw__real_format(char *out, double x)
{
    locale_t made, before = enter_c_locale(&made);
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(out, BW_REAL_TEXT, "%.*g", digits, x);
        if (strtod(out, NULL) == x) break;
    }
    leave_c_locale(made, before);
    /* YAML 1.1 readers take 1e-06 for a word: 1.0e-06. */
    char *e = strchr(out, 'e');
    if (!e || strchr(out, '.')) return;
    memmove(e + 2, e, strlen(e) + 1);
    memcpy(e, ".0", 2);
}
