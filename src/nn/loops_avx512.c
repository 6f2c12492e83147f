/* The inner loops for processors with AVX-512; CMakeLists.txt compiles this file for them. */
#define LOOPS bw__loops_avx512
#include "nn/loops_body.h"
