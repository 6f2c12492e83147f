/** Version of the headers at hand, and of the library that runs. */
#ifndef BLOCKWISE_VERSION_H
#define BLOCKWISE_VERSION_H
#include "blockwise/status.h"
#ifdef __cplusplus
extern "C" {
#endif

#define BW_VERSION_MAJOR 0
#define BW_VERSION_MINOR 1
#define BW_VERSION_PATCH 0

/** "0.1.0" */
#define BW_VERSION                             BW_VERSION_TEXT_(BW_VERSION_MAJOR, BW_VERSION_MINOR, BW_VERSION_PATCH)
#define BW_VERSION_TEXT_(major, minor, patch)  BW_VERSION_QUOTE_(major, minor, patch)
#define BW_VERSION_QUOTE_(major, minor, patch) #major "." #minor "." #patch

/** A number that grows with the version, for comparisons: BW_VERSION_NUMBER >= BW_MAKE_VERSION(0, 2, 0). */
#define BW_MAKE_VERSION(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))
#define BW_VERSION_NUMBER                    BW_MAKE_VERSION(BW_VERSION_MAJOR, BW_VERSION_MINOR, BW_VERSION_PATCH)

/** Version of the library, for example "0.1.0". Up to 1.0 a program runs with the minor version it was
 * compiled for only, which the name of the shared library (libblockwise.so.0.1) sees to; from 1.0 on with any
 * later one of the same major version. */
BW_API const char *bw_version(void);

#ifdef __cplusplus
}
#endif
#endif
