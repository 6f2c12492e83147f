/* Gaussian blur as Pillow approximates it: three box blurs with a fractional radius in each direction
 * (Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering", 2011). */
#ifndef BW_DATA_BLUR_H
#define BW_DATA_BLUR_H
#include "data/planes.h"

size_t bw__blur_work_bytes(int64_t size);
/* In place; sigma > 0 in pixels. */
void bw__blur(bw_planes *planes, float sigma, void *work);
#endif
