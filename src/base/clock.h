#ifndef BW_BASE_CLOCK_H
#define BW_BASE_CLOCK_H
/* Seconds of a monotonic clock. */
double bw__now_s(void);
/* Processors this process may run on. */
int bw__usable_cores(void);
#endif
