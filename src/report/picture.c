#include "report/picture.h"
#include "base/memory.h"
#include "data/encode_jpeg.h"
#include "data/encode_png.h"
#include <math.h>
#include <string.h>

enum { JPEG_QUALITY = 80, LARGEST_PNG_PHOTO = 40 };

/* RFC 4648, with `prefix` in front. */
static bw_status encode(json_t **out, const char *prefix, const uint8_t *bytes, size_t n)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = NULL;
    size_t length = strlen(prefix);
    bw_status st = BW_ALLOC(&text, length + (n + 2) / 3 * 4 + 1);
    *out = NULL;
    if (st != BW_OK) return st;
    memcpy(text, prefix, length);
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (have > 1) three |= (uint32_t)bytes[i + 1] << 8;
        if (have > 2) three |= bytes[i + 2];
        for (size_t j = 0; j < 4; j++)
            text[length++] = j <= have ? DIGITS[(three >> (18 - 6 * j)) & 63] : '=';
    }
    *out = bw__json_text(text);
    bw__free(text);
    return *out ? BW_OK : bw_fail(BW_ENOMEM, "out of memory: a picture of the page");
}

bw_status bw__picture_base64(json_t **out, const void *bytes, size_t n)
{
    return encode(out, "", bytes, n);
}

bw_status bw__picture_uri(json_t **out, const bw_image *image, bool photo)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    bw_status st;
    *out = NULL;
    if (photo && image->width > LARGEST_PNG_PHOTO) {
        st = bw__encode_jpeg(&bytes, &n, image->rgb, image->height, image->width, JPEG_QUALITY);
        if (st == BW_OK) st = encode(out, "data:image/jpeg;base64,", bytes, n);
        bw__free(bytes);
        return st;
    }
    st = bw__encode_png(&bytes, &n, image);
    if (st == BW_OK) st = encode(out, "data:image/png;base64,", bytes, n);
    bw__free(bytes);
    return st;
}

/* Mean of a box of `by` x `by` values of channel c, as a byte. */
static uint8_t shade(const float *view, int64_t side, int64_t y, int64_t x, int64_t by, int c,
                     const bw_augment_config *augment)
{
    double sum = 0.0;
    for (int64_t dy = 0; dy < by; dy++)
        for (int64_t dx = 0; dx < by; dx++)
            sum += (double)view[((y * by + dy) * side + x * by + dx) * 3 + c];
    double value = sum / (double)(by * by) * augment->std[c] + augment->mean[c];
    return (uint8_t)lrint(255.0 * fmin(1.0, fmax(0.0, value)));
}

bw_status bw__picture_of_view(bw_image *out, const float *view, int64_t side, int64_t most,
                              const bw_augment_config *augment)
{
    int64_t by = (side + most - 1) / most, small = side / by;
    size_t bytes = (size_t)(small * small * 3);
    if (out->capacity < bytes) {
        bw_image_clear(out);
        bw_status st = bw__alloc((void **)&out->rgb, bytes);
        if (st != BW_OK) return st;
        out->capacity = bytes;
    }
    out->height = out->width = small;
    for (int64_t y = 0; y < small; y++)
        for (int64_t x = 0; x < small; x++)
            for (int c = 0; c < 3; c++)
                out->rgb[(y * small + x) * 3 + c] = shade(view, side, y, x, by, c, augment);
    return BW_OK;
}
