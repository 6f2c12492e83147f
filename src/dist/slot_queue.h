/* A bounded queue between two threads: slots of one size, filled and emptied in place, in order. One thread
 * produces, one consumes. Knows nothing of ranks; dist/channel.h is made of two of them, one on each side. */
#ifndef BW_DIST_SLOT_QUEUE_H
#define BW_DIST_SLOT_QUEUE_H
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct bw_slot_queue bw_slot_queue;

/* `depth` slots of `bytes` each, 64-byte aligned. */
BW_MUST_CHECK
bw_status bw__slot_queue_create(bw_slot_queue **out, int depth, size_t bytes);
/* When both threads are done with it. NULL is fine. */
void bw__slot_queue_free(bw_slot_queue *q);

/* How long a call may wait, in seconds; or until there is something or the queue is closed. */
#define BW_FOR_EVER (-1.0)

/* The producer's: a slot to fill, the same one until it is pushed; NULL: none became free in time, or the
 * queue is closed or ended. */
void *bw__slot_queue_room(bw_slot_queue *q, double wait_s);
void bw__slot_queue_push(bw_slot_queue *q);
/* The consumer's: the oldest filled slot, the same one until it is popped; NULL: none came in time, or the
 * queue is closed, or it is ended and empty. */
void *bw__slot_queue_next(bw_slot_queue *q, double wait_s);
void bw__slot_queue_pop(bw_slot_queue *q);

/* Nothing is pushed from here on; what is in it can still be taken. By the producer. */
void bw__slot_queue_end(bw_slot_queue *q);
/* Nothing is pushed or taken from here on: all waits end. By any thread, with what it has to say; the first
 * one counts. `message` may be NULL. */
void bw__slot_queue_close(bw_slot_queue *q, bw_status why, const char *message);

bool bw__slot_queue_has_ended(bw_slot_queue *q);
bool bw__slot_queue_is_closed(bw_slot_queue *q);
/* Keeps the message of the closing as bw_fail() does and returns its status. */
bw_status bw__slot_queue_reason(bw_slot_queue *q);
/* Filled slots. */
int bw__slot_queue_count(bw_slot_queue *q);
#endif
