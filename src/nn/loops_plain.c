/* The inner loops for any processor. */
#define LOOPS bw__loops_plain
#include "nn/loops_body.h"
