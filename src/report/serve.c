#include "report/serve.h"
#include "base/folder.h"
#include "base/memory.h"
#include "report/page.h"
#include "report/run_data.h"
#include "train/run_folder.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { WAIT_MS = 200, VERSION_ROOM = 64 };

typedef struct server {
    const bw_serve_options *options;
    char *page; /* as it was when the serving began: the page asks for what is newer */
    size_t page_bytes;
    char version[VERSION_ROOM]; /* of the files that data was made from */
    char *data;
    char problem[512]; /* instead of data, or "" */
} server;

/* --- what is served --- */

/* The page's data; with the cost of blocks, which takes a while and never changes, only for the page itself.
 */
static bw_status collect(json_t **out, const bw_serve_options *o, bool whole)
{
    bw_status st = BW_OK;
    json_t *data = json_object(), *runs = json_array();
    *out = NULL;
    (void)json_object_set_new(data, "version", json_string(bw_version()));
    (void)json_object_set_new(data, "live", json_true());
    if (o->title) (void)json_object_set_new(data, "title", bw__json_text(o->title));
    (void)json_object_set_new(data, "runs", runs);
    for (int i = 0; i < o->n_runs; i++) {
        json_t *run = NULL;
        BW_TRY(bw__run_data(&run, NULL, o->runs[i], whole));
        (void)json_array_append_new(runs, run);
    }
    *out = data;
    data = NULL;
out:
    json_decref(data);
    return st;
}

static bw_status make_page(server *s)
{
    json_t *data = NULL;
    bw_status st = collect(&data, s->options, true);
    if (st == BW_OK) st = bw__page_text(&s->page, &s->page_bytes, data);
    json_decref(data);
    return st;
}

/* A number that changes with the size or the time of a file of the run. */
static uint64_t mix_file(uint64_t hash, const char *run, const char *name)
{
    struct stat info = { 0 };
    char *path = NULL;
    if (bw__folder_file(&path, run, name) == BW_OK && stat(path, &info) != 0) info = (struct stat){ 0 };
    bw__free(path);
    const uint64_t seen[3] = { (uint64_t)info.st_size, (uint64_t)info.st_mtim.tv_sec,
                               (uint64_t)info.st_mtim.tv_nsec };
    for (int i = 0; i < 3; i++)
        hash = (hash ^ seen[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
    return hash;
}

/* Makes the data anew where files have changed. Failures become the server's problem, for the browser to
 * show. */
static void refresh(server *s)
{
    static const char *const FILES[] = { BW_RUN_METRICS, BW_RUN_FINISHED, BW_RUN_ENVIRONMENT, BW_RUN_PROBE };
    char version[VERSION_ROOM];
    uint64_t hash = 1;
    json_t *data = NULL;
    for (int i = 0; i < s->options->n_runs; i++)
        for (size_t f = 0; f < sizeof FILES / sizeof *FILES; f++)
            hash = mix_file(hash, s->options->runs[i], FILES[f]);
    (void)snprintf(version, sizeof version, "\"%016llx\"", (unsigned long long)hash);
    if (strcmp(version, s->version) == 0) return;
    bw__free(s->data);
    s->data = NULL;
    s->problem[0] = '\0';
    memcpy(s->version, version, sizeof version);
    bw_status st = collect(&data, s->options, false);
    if (st == BW_OK) st = bw__json_line(&s->data, data);
    if (st != BW_OK) (void)snprintf(s->problem, sizeof s->problem, "%s", bw_last_error());
    json_decref(data);
}

/* --- HTTP --- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned code, const char *type, const char *text,
                              size_t bytes, const char *version)
{
    /* The text stays as it is until the answer is sent: another request may make it anew before. */
    struct MHD_Response *r =
        MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!r) return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", type);
    (void)MHD_add_response_header(r, "Cache-Control", "no-store");
    (void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (version) (void)MHD_add_response_header(r, "ETag", version);
    enum MHD_Result done = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned code, const char *text)
{
    return answer(c, code, "text/plain; charset=utf-8", text, strlen(text), NULL);
}

/* A page from elsewhere could have its own name point to this address (DNS rebinding) and read the runs. */
static bool is_local(struct MHD_Connection *c)
{
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    size_t n = host ? strcspn(host, ":") : 0;
    return (n == 9 && strncmp(host, "127.0.0.1", n) == 0) ||
           (n == 9 && strncasecmp(host, "localhost", n) == 0);
}

static enum MHD_Result answer_data(server *s, struct MHD_Connection *c)
{
    const char *known = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
    refresh(s);
    if (s->problem[0]) return answer_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, s->problem);
    if (known && strcmp(known, s->version) == 0)
        return answer(c, MHD_HTTP_NOT_MODIFIED, "application/json", "", 0, s->version);
    return answer(c, MHD_HTTP_OK, "application/json", s->data, strlen(s->data), s->version);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **seen)
{
    static int HEADERS_SEEN;
    server *s = user;
    (void)version, (void)upload;
    if (*seen != &HEADERS_SEEN) {
        *seen = &HEADERS_SEEN;
        return MHD_YES;
    }
    if (*upload_bytes > 0) { /* nothing that is sent here is looked at, and the answer comes behind it */
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (!is_local(c)) return answer_text(c, MHD_HTTP_FORBIDDEN, "only for 127.0.0.1 and localhost\n");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (strcmp(url, "/") == 0)
        return answer(c, MHD_HTTP_OK, "text/html; charset=utf-8", s->page, s->page_bytes, NULL);
    if (strcmp(url, "/data.json") == 0) return answer_data(s, c);
    return answer_text(c, MHD_HTTP_NOT_FOUND, "there are / and /data.json\n");
}

static bw_status start(struct MHD_Daemon **out, server *s)
{
    const struct sockaddr_in here = { .sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)s->options->port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    errno = 0;
    *out = MHD_start_daemon(MHD_NO_FLAG, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &here,
                            MHD_OPTION_CONNECTION_TIMEOUT, 30U, MHD_OPTION_END);
    if (*out) return BW_OK;
    return bw_fail(BW_EIO,
                   "127.0.0.1:%d: cannot serve: %s; choose another port with --port, or 0 for a free one",
                   s->options->port, strerror(errno));
}

bw_status bw__serve(const bw_serve_options *options)
{
    bw_status st = BW_OK;
    server s = { .options = options };
    struct MHD_Daemon *daemon = NULL;
    BW_TRY(make_page(&s));
    BW_TRY(start(&daemon, &s));
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    options->on_ready(options->user, info ? info->port : options->port);
    while (!options->stop(options->user))
        if (MHD_run_wait(daemon, WAIT_MS) != MHD_YES && errno != EINTR)
            BW_TRY(bw_fail(BW_EIO, "127.0.0.1: serving failed: %s", strerror(errno)));
out:
    if (daemon) MHD_stop_daemon(daemon);
    bw__free(s.page);
    bw__free(s.data);
    return st;
}
