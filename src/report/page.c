#include "report/page.h"
#include "base/memory.h"
#include "formats/atomic_file.h"
#include <string.h>

/* Made by the build (cmake/report_page.cmake): the page before and behind the place of the data. */
extern const unsigned char bw__page_head[], bw__page_tail[];
extern const size_t bw__page_head_bytes, bw__page_tail_bytes;

/* The data stands in a <script> element, which ends at the first "</script" and changes its meaning at
 * "<!--". In JSON '<' is found within strings alone, where it may be written by its number. */
static size_t escaped(char *to, const char *json)
{
    static const char LESS_THAN[] = "\\u003c";
    size_t n = 0;
    for (; *json; json++) {
        size_t bytes = *json == '<' ? sizeof LESS_THAN - 1 : 1;
        if (to) memcpy(to + n, *json == '<' ? LESS_THAN : json, bytes);
        n += bytes;
    }
    return n;
}

bw_status bw__page_text(char **out, size_t *bytes, const json_t *data)
{
    bw_status st = BW_OK;
    char *json = NULL, *text = NULL;
    *out = NULL;
    BW_TRY(bw__json_line(&json, data));
    size_t n = escaped(NULL, json);
    BW_TRY(bw__alloc_untouched((void **)&text, bw__page_head_bytes + n + bw__page_tail_bytes + 1));
    memcpy(text, bw__page_head, bw__page_head_bytes);
    (void)escaped(text + bw__page_head_bytes, json);
    memcpy(text + bw__page_head_bytes + n, bw__page_tail, bw__page_tail_bytes);
    *bytes = bw__page_head_bytes + n + bw__page_tail_bytes;
    text[*bytes] = '\0';
    *out = text;
out:
    bw__free(json);
    return st;
}

bw_status bw__page_write(const char *path, const json_t *data)
{
    char *text = NULL;
    size_t bytes = 0;
    bw_status st = bw__page_text(&text, &bytes, data);
    if (st == BW_OK) st = bw__atomic_write(path, text, bytes);
    bw__free(text);
    return st;
}
