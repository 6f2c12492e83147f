#include "train/checkpoint.h"
#include "base/memory.h"
#include "base/folder.h"
#include "formats/checksum.h"
#include "formats/safetensors.h"
#include "model/portable_config.h"
#include "train/state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIGEST_TEXT 17 /* 64 bits in hexadecimal, and the closing zero */

struct bw_checkpoint {
    bw_st_file *file;
    char *path;
    int64_t step, images;
};

/* What a file holds besides tensors, in the order it is written and summed. */
static const char *const summed_keys[] = { "format", "kind", "step", "images", "layout", "config" };
enum { SUMMED_KEYS = sizeof summed_keys / sizeof *summed_keys };

/* --- names --- */

/* The step in "step-00001234.safetensors", or -1 for any other name. */
static int64_t step_of_name(const char *name)
{
    static const char prefix[] = "step-", suffix[] = ".safetensors";
    char *end = NULL;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return -1;
    name += sizeof prefix - 1;
    if (!isdigit((unsigned char)*name)) return -1;
    errno = 0;
    long long step = strtoll(name, &end, 10);
    return errno == 0 && end - name >= 8 && strcmp(end, suffix) == 0 ? (int64_t)step : -1;
}

static bw_status path_of_step(char **out, const char *folder, int64_t step)
{
    char name[64];
    (void)snprintf(name, sizeof name, "step-%08" PRId64 ".safetensors", step);
    return bw__folder_file(out, folder, name);
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

bw_status bw__checkpoint_list(int64_t **out, int64_t *out_n, const char *folder)
{
    bw_status st = BW_OK;
    int64_t *steps = NULL, *more = NULL, n = 0, capacity = 0;
    const struct dirent *entry = NULL;

    *out = NULL;
    *out_n = 0;
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT) return BW_OK;
    if (!dir) return bw_fail(BW_EIO, "%s: cannot list the folder: %s", folder, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        int64_t step = step_of_name(entry->d_name);
        if (step < 0) continue;
        if (n == capacity) {
            capacity = 2 * capacity + 16;
            BW_TRY(BW_ALLOC(&more, capacity));
            if (n > 0) memcpy(more, steps, (size_t)n * sizeof *steps);
            bw__free(steps);
            steps = more;
            more = NULL;
        }
        steps[n++] = step;
    }
    if (n > 0) qsort(steps, (size_t)n, sizeof *steps, newest_first);
    *out = steps;
    *out_n = n;
    steps = NULL;
out:
    bw__free(steps);
    (void)closedir(dir);
    return st;
}

/* --- checksums --- */

/* Closes the list and takes its checksum. */
static bw_status finish_digest(char text[DIGEST_TEXT], FILE *f, char **lines, const size_t *bytes)
{
    bool whole = f && !ferror(f);
    if (f && fclose(f) != 0) whole = false;
    if (whole) (void)snprintf(text, DIGEST_TEXT, "%016" PRIx64, bw__checksum(*lines, *bytes));
    free(*lines);
    return whole ? BW_OK : bw_fail(BW_ENOMEM, "out of memory: checksum of a checkpoint");
}

/* Names and shapes of all parameters: two networks with the same text take each other's state. */
static bw_status layout_text(char text[DIGEST_TEXT], const bw_network *network)
{
    char *lines = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&lines, &bytes);
    for (int k = 0; f && k < network->blocks; k++) {
        const bw_params *params = &network->params[k];
        (void)fprintf(f, "%" PRId64 " %" PRId64 "%s\n", params->trained, params->total,
                      params->squares ? " squares" : "");
        for (int i = 0; i < params->n; i++) {
            const bw_param *p = &params->items[i];
            (void)fprintf(f, "%s %" PRId64, p->name, p->offset);
            for (int d = 0; d < p->ndim; d++)
                (void)fprintf(f, " %" PRId64, p->dim[d]);
            (void)fputc('\n', f);
        }
    }
    return finish_digest(text, f, &lines, &bytes);
}

static void add_tensor(FILE *f, const bw_st_tensor *t)
{
    (void)fprintf(f, "%s %d", t->name, (int)t->dtype);
    for (int d = 0; d < t->ndim; d++)
        (void)fprintf(f, " %" PRId64, t->shape[d]);
    (void)fprintf(f, " %016" PRIx64 "\n", bw__checksum(t->data, t->bytes));
}

/* Over a list of the metadata and of every tensor with its own checksum. `tensors` NULL: those of `file`. */
static bw_status digest_text(char text[DIGEST_TEXT], const bw_st_pair *pairs, const bw_st_tensor *tensors,
                             int64_t n, const bw_st_file *file)
{
    char *lines = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&lines, &bytes);
    for (int i = 0; f && i < SUMMED_KEYS; i++)
        (void)fprintf(f, "%s %zu %s\n", pairs[i].key, strlen(pairs[i].value), pairs[i].value);
    for (int64_t i = 0; f && i < n; i++) {
        add_tensor(f, tensors ? &tensors[i] : bw__st_at(file, i));
        if (!tensors) bw__st_drop(file, bw__st_at(file, i));
    }
    return finish_digest(text, f, &lines, &bytes);
}

/* --- writing --- */

static void describe(bw_st_tensor *tensors, const bw_state *state)
{
    for (int i = 0; i < state->n; i++) {
        const bw_state_item *item = &state->item[i];
        tensors[i] = (bw_st_tensor){ .name = item->name,
                                     .dtype = item->counter ? BW_ST_I64 : BW_ST_F32,
                                     .ndim = item->counter ? 0 : 1,
                                     .shape = { item->counter ? 0 : item->count },
                                     .data = item->data,
                                     .bytes = item->bytes };
    }
}

/* Removes what is older than the newest `keep` up to `step`. Later ones can only be damaged: the run went
 * on from one before them, and will write over them when it comes there. */
static bw_status remove_old(const char *folder, int64_t step, int keep)
{
    bw_status st = BW_OK;
    int64_t *steps = NULL, n = 0, kept = 0;
    char *path = NULL;

    BW_TRY(bw__checkpoint_list(&steps, &n, folder));
    for (int64_t i = 0; i < n; i++) {
        if (steps[i] > step || ++kept <= (keep > 1 ? keep : 1)) continue;
        BW_TRY(path_of_step(&path, folder, steps[i]));
        if (unlink(path) != 0)
            bw_log(BW_LOG_WARN, "%s: cannot remove the old checkpoint: %s", path, strerror(errno));
        bw__free(path);
        path = NULL;
    }
out:
    bw__free(path);
    bw__free(steps);
    return st;
}

bw_status bw__checkpoint_write(const char *folder, const bw_network *network, const bw_online_probe *probe,
                               int64_t step, int64_t images, int keep)
{
    bw_status st = BW_OK;
    bw_state *state = NULL;
    bw_st_tensor *tensors = NULL;
    char *path = NULL, *config = NULL;
    char step_text[24], images_text[24], layout[DIGEST_TEXT], digest[DIGEST_TEXT];
    bw_st_pair pairs[SUMMED_KEYS + 1];

    BW_TRY(bw__folder_make(folder));
    BW_TRY(path_of_step(&path, folder, step));
    BW_TRY(bw__config_portable_yaml(&config, &network->config));
    BW_TRY(layout_text(layout, network));
    (void)snprintf(step_text, sizeof step_text, "%" PRId64, step);
    (void)snprintf(images_text, sizeof images_text, "%" PRId64, images);
    const char *values[SUMMED_KEYS] = {
        "pt", "blockwise-checkpoint", step_text, images_text, layout, config
    };

    for (int i = 0; i < SUMMED_KEYS; i++)
        pairs[i] = (bw_st_pair){ summed_keys[i], values[i] };
    BW_TRY(BW_ALLOC(&state, 1));
    bw__state_list(state, network, probe);
    BW_TRY(BW_ALLOC(&tensors, state->n));
    describe(tensors, state);
    BW_TRY(digest_text(digest, pairs, tensors, state->n, NULL));
    pairs[SUMMED_KEYS] = (bw_st_pair){ "checksum", digest };

    BW_TRY(bw__st_write(path, tensors, state->n, pairs, SUMMED_KEYS + 1));
    BW_TRY(remove_old(folder, step, keep));
out:
    bw__free(state);
    bw__free(tensors);
    bw__free(config);
    bw__free(path);
    return st;
}

/* --- reading --- */

static bw_status number_of(int64_t *out, const bw_st_file *file, const char *path, const char *key)
{
    const char *text = bw__st_metadata(file, key);
    char *end = NULL;
    errno = 0;
    long long v = text ? strtoll(text, &end, 10) : -1;
    if (!text || *end || errno || v < 0)
        return bw_fail(BW_EDATA, "%s: damaged checkpoint: \"%s\" is not a number", path, key);
    *out = v;
    return BW_OK;
}

static bw_status verify(const bw_st_file *file, const char *path)
{
    char digest[DIGEST_TEXT];
    bw_st_pair pairs[SUMMED_KEYS];

    for (int i = 0; i < SUMMED_KEYS; i++) {
        pairs[i] = (bw_st_pair){ summed_keys[i], bw__st_metadata(file, summed_keys[i]) };
        if (!pairs[i].value)
            return bw_fail(BW_EDATA, "%s: not a checkpoint (no \"%s\" in its metadata)", path, pairs[i].key);
    }
    bw_status st = digest_text(digest, pairs, NULL, bw__st_count(file), file);
    if (st != BW_OK) return st;
    const char *want = bw__st_metadata(file, "checksum");
    if (want && strcmp(want, digest) == 0) return BW_OK;
    return bw_fail(BW_EDATA, "%s: damaged checkpoint (checksum %s, should be %s)", path, digest,
                   want ? want : "there");
}

bw_status bw__checkpoint_open(bw_checkpoint **out, const char *folder, int64_t step)
{
    bw_status st = BW_OK;
    bw_checkpoint *c = NULL;

    *out = NULL;
    BW_TRY(BW_ALLOC(&c, 1));
    BW_TRY(path_of_step(&c->path, folder, step));
    BW_TRY(bw__st_open(&c->file, c->path));
    BW_TRY(verify(c->file, c->path));
    BW_TRY(number_of(&c->step, c->file, c->path, "step"));
    BW_TRY(number_of(&c->images, c->file, c->path, "images"));
    if (c->step != step) {
        st = bw_fail(BW_EDATA, "%s: holds step %" PRId64 ", not the one in its name", c->path, c->step);
        goto out;
    }
    *out = c;
    c = NULL;
out:
    bw__checkpoint_close(c);
    return st;
}

bw_status bw__checkpoint_open_newest(bw_checkpoint **out, const char *folder)
{
    int64_t *steps = NULL, n = 0;

    *out = NULL;
    bw_status st = bw__checkpoint_list(&steps, &n, folder);
    for (int64_t i = 0; st == BW_OK && i < n; i++) {
        st = bw__checkpoint_open(out, folder, steps[i]);
        if (st == BW_OK) break;
        if (st != BW_EDATA && st != BW_EIO) break;
        bw_log(BW_LOG_WARN, "%s%s", bw_last_error(), i + 1 < n ? "; using the one before" : "");
        if (i + 1 < n)
            st = BW_OK;
        else
            st = bw_fail(BW_EDATA,
                         "%s: none of the %" PRId64 " checkpoints is whole; remove the run's folder or give "
                         "another to start over",
                         folder, n);
    }
    bw__free(steps);
    return st;
}

void bw__checkpoint_close(bw_checkpoint *checkpoint)
{
    if (!checkpoint) return;
    bw__st_close(checkpoint->file);
    bw__free(checkpoint->path);
    bw__free(checkpoint);
}

int64_t bw__checkpoint_step(const bw_checkpoint *checkpoint)
{
    return checkpoint->step;
}

int64_t bw__checkpoint_images(const bw_checkpoint *checkpoint)
{
    return checkpoint->images;
}

const char *bw__checkpoint_path(const bw_checkpoint *checkpoint)
{
    return checkpoint->path;
}

/* same: what is known so far of whether the checkpoint is of such a network. */
static bw_status copy_state(bw_network *network, bw_online_probe *probe, const bw_checkpoint *checkpoint,
                            bool same)
{
    bw_status st = BW_OK;
    bw_state *state = NULL;

    BW_TRY(BW_ALLOC(&state, 1));
    bw__state_list(state, network, probe);
    for (int i = 0; same && i < state->n; i++) {
        const bw_st_tensor *t = bw__st_find(checkpoint->file, state->item[i].name);
        same = t && t->bytes == state->item[i].bytes;
    }
    if (!same) {
        st =
            bw_fail(BW_ESHAPE,
                    "%s: written by a network of other layers, or for data of other classes, than this run's",
                    checkpoint->path);
        goto out;
    }
    for (int i = 0; i < state->n; i++) {
        const bw_st_tensor *t = bw__st_find(checkpoint->file, state->item[i].name);
        memcpy(state->item[i].data, t->data, t->bytes);
        bw__st_drop(checkpoint->file, t);
    }
    network->steps = checkpoint->step;
out:
    bw__free(state);
    return st;
}

bw_status bw__checkpoint_restore(bw_network *network, bw_online_probe *probe, const bw_checkpoint *checkpoint)
{
    char layout[DIGEST_TEXT];
    bw_status st = layout_text(layout, network);
    if (st != BW_OK) return st;
    return copy_state(network, probe, checkpoint,
                      strcmp(layout, bw__st_metadata(checkpoint->file, "layout")) == 0);
}

bw_status bw__checkpoint_weights(bw_network *network, const bw_checkpoint *checkpoint)
{
    return copy_state(network, NULL, checkpoint, true);
}
