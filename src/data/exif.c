/* The one field of EXIF that changes pixels. An EXIF block is a TIFF file: byte order, 42, offset of a
 * directory; a directory is a count and that many entries of 12 bytes (tag, type, count, value). */
#include "data/decode.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT      3

typedef struct reader {
    const uint8_t *bytes;
    size_t size;
    int little;
} reader;

/* Values past the end read as 0, which no field of interest may have. */
static uint32_t u16(const reader *r, size_t at)
{
    if (r->size < 2 || at > r->size - 2) return 0;
    const uint8_t *p = r->bytes + at;
    return r->little ? (uint32_t)(p[0] | p[1] << 8) : (uint32_t)(p[0] << 8 | p[1]);
}

static uint32_t u32(const reader *r, size_t at)
{
    if (r->size < 4 || at > r->size - 4) return 0;
    return r->little ? u16(r, at) | u16(r, at + 2) << 16 : u16(r, at) << 16 | u16(r, at + 2);
}

int bw__exif_orientation(const uint8_t *bytes, size_t size)
{
    reader r = { bytes, size, 0 };
    if (size < 8) return 1;
    if (bytes[0] == 'I' && bytes[1] == 'I')
        r.little = 1;
    else if (bytes[0] != 'M' || bytes[1] != 'M')
        return 1;
    if (u16(&r, 2) != 42) return 1;
    size_t directory = u32(&r, 4);
    uint32_t entries = u16(&r, directory);
    for (uint32_t i = 0; i < entries; i++) {
        size_t at = directory + 2 + 12 * (size_t)i;
        if (at > size - 8 || size - at < 12) break;
        if (u16(&r, at) != TAG_ORIENTATION || u16(&r, at + 2) != TYPE_SHORT) continue;
        uint32_t value = u16(&r, at + 8);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
