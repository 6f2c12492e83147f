/* JPEG through libjpeg-turbo's classic interface: unlike TurboJPEG's it tells every warning apart, so that
 * missing data is an error and a stray byte between markers is not. */
#include "data/decode.h"
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

/* A progressive file of a few kilobytes can ask for endless passes over a large image. */
#define MAX_SCANS 500
/* A block of 8 x 8 takes at least one bit. Four times that, so that odd sampling passes; a small file that
 * claims a huge image is refused before memory is taken for it. */
#define MAX_PIXELS_PER_BYTE 2048

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr error;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    uint8_t *cmyk; /* one row, where the file has four channels */
    char message[JMSG_LENGTH_MAX];
} decoder;

static void stop(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    jpeg->err->format_message(jpeg, d->message);
    longjmp(d->jump, 1);
}

static bool means_missing_data(int code)
{
    switch (code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_ARITH_BAD_CODE:
        return true;
    default:
        return false;
    }
}

static void take_message(j_common_ptr jpeg, int level)
{
    if (level < 0 && means_missing_data(jpeg->err->msg_code)) stop(jpeg);
}

static void say_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void count_scans(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    if (d->jpeg.input_scan_number <= MAX_SCANS) return;
    (void)snprintf(d->message, sizeof d->message, "more than %d scans", MAX_SCANS);
    longjmp(d->jump, 1);
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    static const uint8_t exif[6] = { 'E', 'x', 'i', 'f', 0, 0 };
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > sizeof exif &&
            memcmp(m->data, exif, sizeof exif) == 0)
            return bw__exif_orientation(m->data + sizeof exif, m->data_length - sizeof exif);
    return 1;
}

/* Adobe programs store CMYK inverted, and PIL takes every four-channel JPEG as such; so stored c, m, y, k are
 * 255 minus the ink. PIL then makes (255 - k) - ink * (255 - k) / 255, rounded. The row holds 4 bytes a
 * pixel and becomes 3. */
static void cmyk_row_to_rgb(uint8_t *dst, const uint8_t *src, int64_t width)
{
    for (int64_t x = 0; x < width; x++, src += 4, dst += 3) {
        unsigned light = src[3];
        for (int c = 0; c < 3; c++) {
            unsigned t = (255u - src[c]) * light + 128;
            dst[c] = (uint8_t)(light - ((t + (t >> 8)) >> 8));
        }
    }
}

/* Everything that may longjmp: no local of the caller is alive across it. */
static bw_status decode(decoder *d, bw_image *image, int *orientation, const uint8_t *bytes, size_t size)
{
    bw_status st;
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    jpeg_mem_src(jpeg, bytes, (unsigned long)size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    (void)jpeg_read_header(jpeg, TRUE);
    *orientation = orientation_of(jpeg);
    if ((size_t)jpeg->image_height * jpeg->image_width / MAX_PIXELS_PER_BYTE > size)
        return bw_fail(BW_EDATA, "truncated JPEG: %zu bytes cannot hold %u x %u pixels", size,
                       jpeg->image_width, jpeg->image_height);
    bool four = jpeg->num_components == 4;
    jpeg->out_color_space = four ? JCS_CMYK : JCS_RGB;
    st = bw_image_resize(image, jpeg->image_height, jpeg->image_width);
    if (st != BW_OK) return st;
    if (four) {
        st = bw__alloc((void **)&d->cmyk, (size_t)image->width * 4);
        if (st != BW_OK) return st;
    }
    (void)jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *dst = image->rgb + (size_t)jpeg->output_scanline * (size_t)image->width * 3;
        JSAMPROW row = four ? d->cmyk : dst;
        (void)jpeg_read_scanlines(jpeg, &row, 1);
        if (four) cmyk_row_to_rgb(dst, d->cmyk, image->width);
    }
    (void)jpeg_finish_decompress(jpeg);
    return BW_OK;
}

static bw_status fail(const decoder *d)
{
    int code = d->error.msg_code;
    if (code == JWRN_JPEG_EOF || code == JERR_INPUT_EOF || code == JERR_INPUT_EMPTY)
        return bw_fail(BW_EDATA, "truncated JPEG: the file ends before the image does");
    if (code == JERR_OUT_OF_MEMORY) return bw_fail(BW_ENOMEM, "out of memory while decoding a JPEG");
    return bw_fail(BW_EDATA, "damaged JPEG: %s", d->message);
}

bw_status bw__decode_jpeg(bw_image *image, int *orientation, const uint8_t *bytes, size_t size)
{
    /* On the heap because the library keeps pointers into it, and nothing here may live in registers. */
    decoder *d;
    bw_status st = bw__alloc((void **)&d, sizeof *d);
    if (st != BW_OK) return st;
    d->jpeg.err = jpeg_std_error(&d->error);
    d->error.error_exit = stop;
    d->error.emit_message = take_message;
    d->error.output_message = say_nothing;
    d->jpeg.client_data = d;
    if (setjmp(d->jump) == 0) {
        jpeg_create_decompress(&d->jpeg);
        d->progress.progress_monitor = count_scans;
        d->jpeg.progress = &d->progress;
        st = decode(d, image, orientation, bytes, size);
    } else {
        st = fail(d);
    }
    jpeg_destroy_decompress(&d->jpeg);
    bw__free(d->cmyk);
    bw__free(d);
    return st;
}
