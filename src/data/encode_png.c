#include "data/encode_png.h"
#include "base/memory.h"
#include <spng.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bw_status fail(int code)
{
    if (code == SPNG_EMEM) return bw_fail(BW_ENOMEM, "out of memory while encoding a PNG");
    return bw_fail(BW_EINVAL, "cannot encode a PNG: %s", spng_strerror(code));
}

static bool is_grey(const bw_image *image)
{
    const uint8_t *p = image->rgb, *end = p + image->height * image->width * 3;
    for (; p < end; p += 3)
        if (p[0] != p[1] || p[0] != p[2]) return false;
    return true;
}

#define SPNG_TRY(call)                                                                                       \
    do {                                                                                                     \
        const int code = (call);                                                                             \
        if (code != 0) {                                                                                     \
            st = fail(code);                                                                                 \
            goto out;                                                                                        \
        }                                                                                                    \
    } while (0)

bw_status bw__encode_png(uint8_t **out, size_t *size, const bw_image *image)
{
    bw_status st = BW_OK;
    const bool grey = is_grey(image);
    const int64_t pixels = image->height * image->width;
    struct spng_ihdr header = { .width = (uint32_t)image->width,
                                .height = (uint32_t)image->height,
                                .bit_depth = 8,
                                .color_type = grey ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR };
    uint8_t *plane = NULL;
    void *png = NULL;
    int error = 0;
    *out = NULL;
    *size = 0;
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!ctx) return fail(SPNG_EMEM);
    if (grey) {
        BW_TRY(bw__alloc_untouched((void **)&plane, (size_t)pixels));
        for (int64_t i = 0; i < pixels; i++)
            plane[i] = image->rgb[3 * i];
    }
    SPNG_TRY(spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1));
    SPNG_TRY(spng_set_ihdr(ctx, &header));
    SPNG_TRY(spng_encode_image(ctx, grey ? plane : image->rgb, (size_t)(grey ? pixels : 3 * pixels),
                               SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE));
    png = spng_get_png_buffer(ctx, size, &error);
    SPNG_TRY(error);
    BW_TRY(bw__alloc_untouched((void **)out, *size));
    memcpy(*out, png, *size);
out:
    free(png);
    spng_ctx_free(ctx);
    bw__free(plane);
    return st;
}
