/* The inner loops for any processor. */
#define KERNELS bw__kernels_base
#include "data/pixel_kernels_body.h"
