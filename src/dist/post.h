/* Messages between two ranks that go on beside the computation: one at a time for each bw_post, begun and
 * then asked for. What is above it (dist/channel.h) decides how long to nap between two questions. */
#ifndef BW_DIST_POST_H
#define BW_DIST_POST_H
#include "dist/collective.h"

typedef struct bw_post bw_post;

enum { BW_POST_MOST = 1 << 26 }; /* bytes of one message */

/* With rank `rank` of `comm`, borrowed. A tag tells posts between the same two ranks apart. */
BW_MUST_CHECK
bw_status bw__post_create(bw_post **out, bw_comm *comm, int rank, int tag);
/* When no message is under way. NULL is fine. */
void bw__post_free(bw_post *post);

/* Begin a message; the bytes are the post's until it is done. */
BW_MUST_CHECK
bw_status bw__post_send(bw_post *post, const void *bytes, size_t n);
BW_MUST_CHECK
bw_status bw__post_receive(bw_post *post, void *bytes, size_t n);
/* Whether the message is done. */
BW_MUST_CHECK
bw_status bw__post_test(bw_post *post, bool *done);
/* Length of the message that waits to be received here; -1: none has come. */
BW_MUST_CHECK
bw_status bw__post_look(bw_post *post, int64_t *bytes);
#endif
