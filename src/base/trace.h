/* Spans of time, for a picture of what a process does beside what: one recorder for all of its threads, off
 * until it is started. Where it is off a call costs one comparison. */
#ifndef BW_BASE_TRACE_H
#define BW_BASE_TRACE_H
#include "base/error.h"
#include <stdbool.h>

typedef enum bw_track {
    BW_TRACK_BLOCKS,     /* passes of blocks */
    BW_TRACK_OPERATIONS, /* layers, and waiting for other ranks */
    BW_TRACK_SUMS,       /* of gradients, under way */
    BW_TRACK_SENT,       /* activations under way to the next row */
    BW_TRACK_RECEIVED,   /* from the row before */
    BW_TRACKS
} bw_track;

enum { BW_SPAN_NAME = 48 };

typedef struct bw_span {
    double begin_s, end_s; /* of bw__now_s() */
    int track, block;      /* block: from 0; -1: of none */
    char name[BW_SPAN_NAME];
} bw_span;

const char *bw__track_name(bw_track track);

/* Keeps the first `most` spans from now on. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__trace_start(int most);
/* Records no more; what there is stays. */
void bw__trace_stop(void);
bool bw__trace_is_on(void);
/* Any thread. The name is copied, and cut where it is too long; `detail` is put behind it, or NULL. */
void bw__trace_add(bw_track track, const char *name, const char *detail, int block, double begin_s,
                   double end_s);
/* What was recorded, in the order of ends, until the next start or bw__trace_clear(); *lost: for which there
 * was no room. After bw__trace_stop(). */
int bw__trace_spans(const bw_span **out, int *lost);
void bw__trace_clear(void);
#endif
