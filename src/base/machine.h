/* The processors this process has. */
#ifndef BW_BASE_MACHINE_H
#define BW_BASE_MACHINE_H
#include <stddef.h>
#include <stdint.h>

/* Processors this process may run on, by its affinity and by the quota of its control groups, or its share of
 * them after bw__cores_are_shared(). */
int bw__usable_cores(void);
/* Of what this process may use it has `share`, since it is one of `processes` of the program here. */
void bw__cores_are_shared(int share, int processes);
/* How many that are; 1 before. */
int bw__cores_shared_by(void);

/* Processors, one bit each. */
typedef struct bw_core_set {
    uint64_t bits[16];
} bw_core_set;
/* Of this process, and of the one that started it; without any where that is not known. */
bw_core_set bw__own_cores(void);
bw_core_set bw__parent_cores(void);
/* In any of the n sets. */
int bw__core_count(const bw_core_set *sets, int n);
/* What process `self` of n has when each processor is divided among all that may use it; at least 1. */
int bw__core_share(const bw_core_set *sets, int n, int self);
/* Processors of the machine. */
int bw__machine_cores(void);
/* The processor's own name, "unknown" where Linux does not tell it. */
void bw__cpu_name(char *name, size_t size);
/* The largest instruction set of the processor, in the words of bw__exec_isa(): "AVX2". */
const char *bw__cpu_isa(void);

/* With OMP_PROC_BIND or OMP_PLACES the OpenMP runtime ties the main thread to one processor, and a thread
 * that it starts would stay there too. Lets the calling thread run on all the process may use. */
void bw__unbind_thread(void);
#endif
