/* Which of the project's own loops run: those files that are compiled for several instruction sets (names
 * ending in _avx2.c and _avx512.c, see CMakeLists.txt) ask here which one to use. Contraction is off and
 * every sum has a fixed order, so all of them give the same bits (docs/NUMERICS.md). */
#ifndef BW_BASE_ISA_H
#define BW_BASE_ISA_H

/* Environment variable that lowers the choice, for tests and for comparing: a name below. */
#define BW_ISA_VARIABLE "BLOCKWISE_MAX_ISA"

typedef enum bw_isa {
    BW_ISA_PLAIN,  /* "plain": what the compiler assumes of every processor */
    BW_ISA_AVX2,   /* "avx2" */
    BW_ISA_AVX512, /* "avx512": F, BW, VL and DQ */
    BW_ISA_COUNT
} bw_isa;

/* The best of this processor. */
bw_isa bw__isa_of_cpu(void);
/* The one in use: that of the processor, or a lower one by BLOCKWISE_MAX_ISA as it was at the first call. */
bw_isa bw__isa(void);
/* "plain", "avx2", "avx512". */
const char *bw__isa_name(bw_isa isa);

typedef enum bw_isa_limit {
    BW_ISA_UNLIMITED,    /* the variable is not set, or names nothing lower than the processor has */
    BW_ISA_LOWERED,      /* it took effect */
    BW_ISA_LIMIT_UNKNOWN /* it names no instruction set, and was ignored */
} bw_isa_limit;

/* What the variable did to bw__isa(). */
bw_isa_limit bw__isa_limit(void);
#endif
