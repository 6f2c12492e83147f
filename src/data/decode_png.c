/* PNG through libspng. Its RGB8 output is what is wanted: palettes looked up, 1, 2 and 4 bits scaled to
 * 0..255, grey replicated, alpha dropped, 16 bits cut to the high byte. The last is PIL's reading of 16-bit
 * colour; 16-bit grey is cut likewise, where PIL would clip every value above 255. */
#include "data/decode.h"
#include <spng.h>

/* Comments and colour profiles can be any size; no image needs more of them than this. */
#define CHUNK_LIMIT_BYTES ((size_t)16 << 20)

/* Deflate packs at most 1032 bytes into one, and a byte holds at most 8 pixels: a small file that claims a
 * huge image is refused before memory is taken for it. */
#define MAX_PIXELS_PER_BYTE ((size_t)8 * 1032)

static bw_status fail(int code)
{
    if (code == SPNG_EMEM) return bw_fail(BW_ENOMEM, "out of memory while decoding a PNG");
    if (code == SPNG_IO_EOF) return bw_fail(BW_EDATA, "truncated PNG: the file ends before the image does");
    return bw_fail(BW_EDATA, "damaged PNG: %s", spng_strerror(code));
}

#define SPNG_TRY(call)                                                                                       \
    do {                                                                                                     \
        int code = (call);                                                                                   \
        if (code != 0) {                                                                                     \
            st = fail(code);                                                                                 \
            goto out;                                                                                        \
        }                                                                                                    \
    } while (0)

bw_status bw__decode_png(bw_image *image, int *orientation, const uint8_t *bytes, size_t size)
{
    bw_status st = BW_OK;
    struct spng_ihdr header;
    struct spng_exif exif;
    size_t wanted;
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return fail(SPNG_EMEM);
    SPNG_TRY(spng_set_chunk_limits(png, CHUNK_LIMIT_BYTES, CHUNK_LIMIT_BYTES));
    SPNG_TRY(spng_set_png_buffer(png, bytes, size));
    SPNG_TRY(spng_get_ihdr(png, &header));
    if ((size_t)header.height * header.width / MAX_PIXELS_PER_BYTE > size) {
        st = bw_fail(BW_EDATA, "truncated PNG: %zu bytes cannot hold %u x %u pixels", size, header.width,
                     header.height);
        goto out;
    }
    BW_TRY(bw_image_resize(image, header.height, header.width));
    SPNG_TRY(spng_decoded_image_size(png, SPNG_FMT_RGB8, &wanted));
    if (wanted > image->capacity) {
        st = bw_fail(BW_EDATA, "damaged PNG: %zu bytes of pixels where %zu were expected", wanted,
                     image->capacity);
        goto out;
    }
    SPNG_TRY(spng_decode_image(png, image->rgb, wanted, SPNG_FMT_RGB8, 0));
    if (spng_get_exif(png, &exif) == 0)
        *orientation = bw__exif_orientation((const uint8_t *)exif.data, exif.length);
out:
    spng_ctx_free(png);
    return st;
}
