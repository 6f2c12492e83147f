/* A bounded queue from one rank to another. Messages of one size go one way, in order. Each end has a thread
 * and `depth` slots: the sender copies its message into a slot and goes on, the thread sends it while the
 * rank computes; the receiver's thread takes messages in ahead of the rank that wants them. A sender waits
 * only where `depth` messages here and `depth` there are not yet used.
 *
 * Both ends say goodbye before they are gone: whichever is closed first, with work under way or not, the
 * other end is told and its next call returns BW_EREMOTE. Closing never waits for what the other rank
 * computes, and no longer than a few seconds for one that is dead.
 *
 * Not collective; used by one thread on each side. */
#ifndef BW_DIST_CHANNEL_H
#define BW_DIST_CHANNEL_H
#include "dist/collective.h"

typedef struct bw_channel bw_channel;

/* The two ends, between ranks of `comm`, borrowed. tag in [0, 1000): tells channels between the same two
 * ranks apart. depth >= 1. bytes: of every message. */
BW_MUST_CHECK
bw_status bw__channel_open_to(bw_channel **out, bw_comm *comm, int rank, int tag, int depth, size_t bytes);
BW_MUST_CHECK
bw_status bw__channel_open_from(bw_channel **out, bw_comm *comm, int rank, int tag, int depth, size_t bytes);

/* The sender's: waits for a slot [bytes], 64-byte aligned, to be filled; and hands it over.
 * BW_EREMOTE: the receiver has left, or MPI failed. */
BW_MUST_CHECK
bw_status bw__channel_room(bw_channel *channel, void **slot);
void bw__channel_put(bw_channel *channel);

/* The receiver's: the oldest message, which stays until it is released; with wait false NULL where none has
 * come. BW_EREMOTE: the sender has left and all its messages are used, or MPI failed. */
BW_MUST_CHECK
bw_status bw__channel_get(bw_channel *channel, const void **message, bool wait);
void bw__channel_release(bw_channel *channel);

/* Ends it without waiting, so that several can be closed before the first is freed. why BW_OK: messages that
 * were put are still sent; else they are dropped, and the other end is told the status
 * (bw_comm_remote_status()). NULL is fine. */
void bw__channel_close(bw_channel *channel, bw_status why);
/* Closes it with BW_OK if it is open, and waits for its end. NULL is fine. */
void bw__channel_free(bw_channel *channel);
#endif
