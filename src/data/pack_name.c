#include "data/pack_name.h"
#include "data/files.h"
#include <stdio.h>
#include <string.h>

static const char *ending_of(const uint8_t *bytes, size_t size)
{
    if (size >= 4 && memcmp(bytes, "\x89PNG", 4) == 0) return "png";
    if (size >= 4 && memcmp(bytes, "RIFF", 4) == 0) return "webp";
    return "jpg";
}

/* The path without a leading slash, without . and with __ for .., so that unpacking stays in one folder. */
static void clean_path(char *out, size_t room, const char *name)
{
    size_t n = 0;
    for (const char *p = name; *p;) {
        size_t length = strcspn(p, "/");
        const bool nothing = length == 0 || (length == 1 && *p == '.');
        const bool up = length == 2 && memcmp(p, "..", 2) == 0;
        if (!nothing && n + length + 2 < room) {
            if (n) out[n++] = '/';
            memcpy(out + n, up ? "__" : p, length);
            n += length;
        }
        p += length + (p[length] == '/');
    }
    out[n] = '\0';
}

void bw__pack_name(bw_pack_name *out, const char *name, const char *before, const uint8_t *bytes, size_t size)
{
    enum { ROOM = 4200 };
    char path[ROOM];
    clean_path(path + 1, sizeof path - 1, name);
    char *start = path + 1;
    char *base = (char *)start + (bw__path_base(start) - start), *dot = strrchr(base, '.');
    const char *ending = ending_of(bytes, size);
    if (dot && dot > base && bw__files_is_image_name(base)) {
        *dot = '\0';
        ending = dot + 1;
    }
    for (char *p = base; *p; p++)
        if (*p == '.') *p = '_';
    /* Readers take __names__ for remarks. */
    if (strncmp(start, "__", 2) == 0) *--start = 'x';
    (void)snprintf(out->key, sizeof out->key, "%s", *start ? start : "image");
    for (int again = 2; strcmp(out->key, before) == 0; again++)
        (void)snprintf(out->key, sizeof out->key, "%s_%d", start, again);
    (void)snprintf(out->image, sizeof out->image, "%s.%.8s", out->key, ending);
}
