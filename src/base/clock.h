#ifndef BW_BASE_CLOCK_H
#define BW_BASE_CLOCK_H
/* Seconds of a monotonic clock. */
double bw__now_s(void);
#endif
