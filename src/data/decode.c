#include "data/decode.h"
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const uint8_t jpeg_magic[] = { 0xff, 0xd8, 0xff };
static const uint8_t png_magic[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };

bw_status bw_image_resize(bw_image *image, int64_t height, int64_t width)
{
    if (height < 1 || width < 1)
        return bw_fail(BW_EDATA, "image of %lld x %lld pixels", (long long)width, (long long)height);
    if (height > BW_MAX_PIXELS / width)
        return bw_fail(BW_EDATA, "image of %lld x %lld pixels; the limit is %lld in all", (long long)width,
                       (long long)height, (long long)BW_MAX_PIXELS);
    size_t bytes = (size_t)(height * width) * 3;
    if (bytes > image->capacity) {
        bw_image_clear(image);
        bw_status st = bw__alloc((void **)&image->rgb, bytes);
        if (st != BW_OK) return st;
        image->capacity = bytes;
    }
    image->height = height;
    image->width = width;
    return BW_OK;
}

void bw_image_clear(bw_image *image)
{
    bw__free(image->rgb);
    *image = (bw_image){ 0 };
}

/* EXIF orientation o stores the upright image turned or mirrored; this undoes it (CIPA DC-008, Orientation:
 * where row 0 and column 0 of the stored image are seen). */
static bw_status turn_upright(bw_image *image, int orientation)
{
    bw_status st = BW_OK;
    bw_image turned = { 0 };
    int64_t h = image->height, w = image->width;
    bool swap = orientation >= 5;
    bool up = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    bool left = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    BW_TRY(bw_image_resize(&turned, swap ? w : h, swap ? h : w));
    for (int64_t y = 0; y < turned.height; y++)
        for (int64_t x = 0; x < turned.width; x++) {
            int64_t sy = swap ? x : y, sx = swap ? y : x;
            if (up) sy = h - 1 - sy;
            if (left) sx = w - 1 - sx;
            memcpy(turned.rgb + (y * turned.width + x) * 3, image->rgb + (sy * w + sx) * 3, 3);
        }
    bw_image_clear(image);
    *image = turned;
out:
    return st;
}

static const char *expected_kind(const char *name)
{
    const char *dot = name ? strrchr(name, '.') : NULL;
    if (dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0)) return "JPEG";
    if (dot && strcasecmp(dot, ".png") == 0) return "PNG";
    if (dot && strcasecmp(dot, ".webp") == 0) return "WebP";
    return "JPEG, PNG or WebP";
}

bw_status bw__decode(bw_image *image, const uint8_t *bytes, size_t size, const char *name)
{
    bw_status st;
    int orientation = 1;
    if (size == 0) return bw_fail(BW_EDATA, "not an image (the file is empty)");
    if (size >= sizeof jpeg_magic && memcmp(bytes, jpeg_magic, sizeof jpeg_magic) == 0)
        st = bw__decode_jpeg(image, &orientation, bytes, size);
    else if (size >= sizeof png_magic && memcmp(bytes, png_magic, sizeof png_magic) == 0)
        st = bw__decode_png(image, &orientation, bytes, size);
    else if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
        st = bw__decode_webp(image, &orientation, bytes, size);
    else
        return bw_fail(BW_EDATA, "not an image (%s header missing)", expected_kind(name));
    if (st == BW_OK && orientation > 1) st = turn_upright(image, orientation);
    return st;
}

bw_status bw_image_decode(bw_image *image, const void *bytes, size_t size)
{
    return bw__decode(image, bytes, size, NULL);
}
