/* The processors this process has. */
#ifndef BW_BASE_MACHINE_H
#define BW_BASE_MACHINE_H
#include <stddef.h>

/* Processors this process may run on, by its affinity and by the quota of its control groups. */
int bw__usable_cores(void);
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
