/* Colour operations on planes, each with the rounding of PIL.ImageEnhance and PIL's HSV conversion. */
#ifndef BW_DATA_COLOR_JITTER_H
#define BW_DATA_COLOR_JITTER_H
#include "data/planes.h"

/* Factor 0: black; 1: unchanged. */
void bw__color_brightness(bw_planes *planes, float factor);
/* Factor 0: the image's mean grey. */
void bw__color_contrast(bw_planes *planes, float factor);
/* Factor 0: grey. */
void bw__color_saturation(bw_planes *planes, float factor);
/* Turns the hue by `shift` turns, in [-0.5, 0.5]. */
void bw__color_hue(bw_planes *planes, float shift);
void bw__color_grey(bw_planes *planes);
/* Values at or above the threshold become 255 - value. */
void bw__color_solarize(bw_planes *planes, int threshold);
#endif
