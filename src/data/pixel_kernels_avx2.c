/* The inner loops for processors with AVX2; CMakeLists.txt compiles this file for them. */
#define KERNELS bw__kernels_avx2
#include "data/pixel_kernels_body.h"
