/* Event files of TensorBoard (TFRecord of protobuf messages), appended while a run goes on: every record is
 * handed to the system at once, so a reader sees whole records up to the last or, for a moment, a last one
 * that is not whole, at which readers wait.
 *
 * A record: length (8 bytes, little-endian), masked CRC-32C of these, the message, its masked CRC-32C
 * (tensorflow, lib/io/record_writer). */
#ifndef BW_FORMATS_TFEVENTS_H
#define BW_FORMATS_TFEVENTS_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

typedef struct bw_tfevents bw_tfevents;

/* Begins a file folder/events.out.tfevents.SECONDS.NUMBER.blockwise with a name of its own that sorts behind
 * those that are there. first_step: of the first event to come; readers forget what other files have from
 * there on. BW_EIO. */
BW_MUST_CHECK
bw_status bw__tfevents_open(bw_tfevents **out, const char *folder, int64_t first_step);
void bw__tfevents_close(bw_tfevents *events);

/* What a step has: add values, then write them together. A value that is not finite is left out, and a step
 * without values is not written. Tags are copied; "group/name". */
BW_MUST_CHECK
bw_status bw__tfevents_add(bw_tfevents *events, const char *tag, double value);
/* png: a whole file; copied. */
BW_MUST_CHECK
bw_status bw__tfevents_add_png(bw_tfevents *events, const char *tag, const void *png, size_t bytes,
                               int height, int width);
/* BW_EIO. */
BW_MUST_CHECK
bw_status bw__tfevents_write(bw_tfevents *events, int64_t step);
#endif
