/* WebP through libwebp. The EXIF block lies in a chunk of its own in the RIFF container, which the plain
 * decoder passes over: "RIFF", size, "WEBP", then chunks of name, little-endian size, data, padded to
 * an even size. */
#include "data/decode.h"
#include <stdbool.h>
#include <string.h>
#include <webp/decode.h>

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int orientation_of(const uint8_t *bytes, size_t size)
{
    static const uint8_t prefix[6] = { 'E', 'x', 'i', 'f', 0, 0 };
    size_t at = 12;
    while (at < size && size - at >= 8) {
        const uint8_t *data = bytes + at + 8;
        size_t length = u32(bytes + at + 4), left = size - at - 8;
        if (length > left) break;
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            /* Some writers keep JPEG's prefix. */
            bool skip = length > sizeof prefix && memcmp(data, prefix, sizeof prefix) == 0;
            return skip ? bw__exif_orientation(data + sizeof prefix, length - sizeof prefix)
                        : bw__exif_orientation(data, length);
        }
        at += 8 + length + (length & 1);
    }
    return 1;
}

static bw_status fail(VP8StatusCode code)
{
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return bw_fail(BW_ENOMEM, "out of memory while decoding a WebP");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return bw_fail(BW_EDATA, "truncated WebP: the file ends before the image does");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return bw_fail(BW_EDATA, "WebP of a kind that is not read");
    default:
        return bw_fail(BW_EDATA, "damaged WebP");
    }
}

bw_status bw__decode_webp(bw_image *image, int *orientation, const uint8_t *bytes, size_t size)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return bw_fail(BW_EKERNEL, "libwebp is of another version than its header");
    VP8StatusCode code = WebPGetFeatures(bytes, size, &config.input);
    if (code != VP8_STATUS_OK) return fail(code);
    if (config.input.has_animation) return bw_fail(BW_EDATA, "animated WebP; only still images are read");
    bw_status st = bw_image_resize(image, config.input.height, config.input.width);
    if (st != BW_OK) return st;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->rgb;
    config.output.u.RGBA.stride = (int)(image->width * 3);
    config.output.u.RGBA.size = (size_t)(image->height * image->width) * 3;
    code = WebPDecode(bytes, size, &config);
    if (code != VP8_STATUS_OK) return fail(code);
    *orientation = orientation_of(bytes, size);
    return BW_OK;
}
