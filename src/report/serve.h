/* A page that follows runs while they are trained, for browsers on this machine. */
#ifndef BW_REPORT_SERVE_H
#define BW_REPORT_SERVE_H
#include "base/error.h"

typedef struct bw_serve_options {
    const char *const *runs; /* [n_runs] folders */
    int n_runs;
    const char *title; /* or NULL */
    int port;          /* of 127.0.0.1; 0: a free one */
    void *user;
    void (*on_ready)(void *user, int port); /* called once, when browsers may come */
    int (*stop)(void *user);                /* asked several times a second; not 0: it ends */
} bw_serve_options;

/* Serves until it is told to stop: "/" is the page, "/data.json" what the page asks for again and again.
 * Answers to GET and HEAD, for the hosts 127.0.0.1 and localhost alone, so that no page from elsewhere can
 * read along. BW_EDATA: no run folder; BW_EIO: the port is taken; BW_ENOMEM. Damage that is met later is told
 * to the browser. */
BW_MUST_CHECK
bw_status bw__serve(const bw_serve_options *options);
#endif
