/* The page itself: one file of HTML with everything in it, made at build from page.html, page.css, the
 * scripts page_*.js and a library for plots. What it shows is one JSON value. */
#ifndef BW_REPORT_PAGE_H
#define BW_REPORT_PAGE_H
#include "formats/json.h"

/* The page that shows `data`; *out, with a '\0' behind its *bytes bytes, is released with bw__free(). */
BW_MUST_CHECK
bw_status bw__page_text(char **out, size_t *bytes, const json_t *data);
/* The same as a file, whole or absent. BW_EIO. */
BW_MUST_CHECK
bw_status bw__page_write(const char *path, const json_t *data);
#endif
