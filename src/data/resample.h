/* Resizing as Pillow does it: separable, antialiased (the filter grows with the reduction), 8-bit values
 * between the horizontal and the vertical pass, coefficients in fixed point. */
#ifndef BW_DATA_RESAMPLE_H
#define BW_DATA_RESAMPLE_H
#include "blockwise/config.h"
#include "blockwise/dataset.h"
#include "data/planes.h"

typedef struct bw_resample {
    const bw_image *image;
    int64_t x, y, w, h;         /* box of the image; nothing outside it is looked at */
    int64_t out_w, out_h;       /* size the box is brought to */
    int64_t window_x, window_y; /* corner of the part of that size which is wanted: a square as */
                                /* large as the planes */
    bw_interpolation interpolation;
    bool flip; /* left and right exchanged */
} bw_resample;

/* Scratch that bw__resample() needs for planes of this size: by the rows and columns of the box that the
 * window reaches, whatever the size of the rest. */
size_t bw__resample_work_bytes(const bw_resample *job, int64_t size);
/* `work` is 64-byte aligned. */
void bw__resample(bw_planes *out, const bw_resample *job, void *work);
#endif
