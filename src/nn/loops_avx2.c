/* The inner loops for processors with AVX2; CMakeLists.txt compiles this file for them. */
#define LOOPS bw__loops_avx2
#include "nn/loops_body.h"
