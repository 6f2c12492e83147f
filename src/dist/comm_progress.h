/* A thread that asks on while sums are under way. MPI moves data, and adds it up, only inside of its calls:
 * between two layers that exchange statistics a sum of gradients would stand still. The thread starts none
 * and waits for none, so the order of collectives stays that of the thread that trains; it naps between
 * rounds, and sleeps while there is nothing to ask for. */
#ifndef BW_DIST_COMM_PROGRESS_H
#define BW_DIST_COMM_PROGRESS_H
#include <stdbool.h>

/* What is asked for: part of its owner's memory. */
typedef struct bw_progress {
    bool (*ask)(struct bw_progress *); /* lets MPI go on; true: done. Called by the thread alone, from
                                          bw__progress_add() to bw__progress_remove(), until it is true */
    bool done;
    struct bw_progress *next;
} bw_progress;

/* Starts the thread where it does not run. Where that fails, or bw__progress_use(false) was called, nothing
 * asks: whoever waits for the end in MPI does all of it then. */
void bw__progress_add(bw_progress *item);
/* Afterwards the thread does not know the item; waits for an ask() that is running. */
void bw__progress_remove(bw_progress *item);
/* Ends the thread; nothing may be under way. It starts again with the next item. */
void bw__progress_end(void);

/* For measurements: whether items added from now on are asked for. */
void bw__progress_use(bool wanted);
#endif
