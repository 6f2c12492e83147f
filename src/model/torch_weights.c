#include "model/torch_weights.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 128 };

typedef char name_text[NAME];

struct bw_torch_weights {
    bw_torch_file *file;
    bw_st_tensor *trunk, *head;
    name_text *name; /* of both */
    int64_t trunks, heads, names;
    int64_t filter, dim;    /* of the heads' convolutions */
    int projectors, widths; /* of projector 1: linear layers */
    int64_t width[16];
};

/* The rest of `name` behind `prefix`, or NULL. */
static const char *behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

/* Without the wrappers that a trainer puts around a network. */
static const char *unwrapped(const char *name)
{
    static const char *const wrappers[] = { "model.", "state_dict.", "module.", "backbone." };
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        const char *rest = behind(name, wrappers[i]);
        if (rest) name = rest;
    }
    return name;
}

/* "K.rest": the number, and the rest; -1 where there is none. */
static int numbered(const char *text, const char **rest)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end != '.' || n < 0 || n > 999) return -1;
    *rest = end + 1;
    return (int)n;
}

/* The name of a head's tensor here; false where it is none. */
static bool head_name(name_text out, const char *name)
{
    const char *rest, *inner;
    const char *conv = behind(name, "pool_conv_block_"), *projector = behind(name, "projector_list.");
    int k = conv ? numbered(conv, &rest) : projector ? numbered(projector, &rest) : -1;
    if (k < 0) return false;
    if (projector)
        (void)snprintf(out, NAME, "blocks.%d.projector.%.90s", k + 1, rest);
    else if ((inner = behind(rest, "0.")) != NULL)
        (void)snprintf(out, NAME, "blocks.%d.head.conv.%.90s", k, inner);
    else if ((inner = behind(rest, "1.")) != NULL)
        (void)snprintf(out, NAME, "blocks.%d.head.bn.%.90s", k, inner);
    else
        return false;
    return true;
}

/* What there is beside trunk and heads in files that are good: a classifier, the authors' normalisation of
 * the loss, an optimiser. */
static bool is_passed_over(const char *whole, const char *name)
{
    return behind(whole, "optimizer.") || behind(name, "fc.") || behind(name, "bn.");
}

/* Shapes that the heads' settings follow from. */
static void note_shape(bw_torch_weights *w, const char *name, const bw_st_tensor *t)
{
    int layer;
    char tail[16];
    if (strcmp(name, "blocks.1.head.conv.weight") == 0 && t->ndim == 4) {
        w->dim = t->shape[0];
        w->filter = t->shape[2];
    }
    if (sscanf(name, "blocks.1.projector.%d.%15s", &layer, tail) == 2 && strcmp(tail, "weight") == 0 &&
        t->ndim == 2 && w->widths < 16)
        w->width[w->widths++] = t->shape[0];
    if (behind(name, "blocks.1.projector.")) w->projectors = 1;
}

static bw_status take_tensor(bw_torch_weights *w, int64_t i)
{
    const bw_st_tensor *t = bw__torch_at(w->file, i);
    const char *name = unwrapped(t->name);
    if (is_passed_over(t->name, name)) return BW_OK;
    bw_status st = bw__torch_read(w->file, i);
    if (st != BW_OK) return st;
    char *kept = w->name[w->names++];
    bool head = head_name(kept, name);
    if (!head) (void)snprintf(kept, NAME, "%.120s", name);
    bw_st_tensor *to = head ? &w->head[w->heads++] : &w->trunk[w->trunks++];
    *to = *t;
    to->name = kept;
    if (head) note_shape(w, kept, t);
    return BW_OK;
}

/* Settings of the heads. A projector that is not there is one of a width that nobody uses. */
static void settings_text(char *out, size_t size, const bw_torch_weights *w)
{
    size_t n = (size_t)snprintf(out, size, "head: {pool: cbe, filter: %lld, dim: %lld}\nprojector.widths: [",
                                (long long)w->filter, (long long)w->dim);
    for (int i = 0; i < w->widths && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)w->width[i]);
    if (n < size) (void)snprintf(out + n, size - n, "%s]\n", w->widths == 0 ? "8" : "");
}

bw_status bw__torch_weights_open(bw_torch_weights **out, bw_st_file **trunk, bw_st_file **heads,
                                 const char *path)
{
    bw_status st = BW_OK;
    bw_torch_weights *w = NULL;
    char settings[512];
    *out = NULL;
    *trunk = *heads = NULL;
    BW_TRY(BW_ALLOC(&w, 1));
    BW_TRY(bw__torch_open(&w->file, path));
    int64_t n = bw__torch_count(w->file);
    if (n == 0) BW_TRY(bw_fail(BW_EDATA, "%s: there are no tensors in it that dicts lead to by name", path));
    BW_TRY(BW_ALLOC(&w->trunk, n));
    BW_TRY(BW_ALLOC(&w->head, n));
    BW_TRY(BW_ALLOC(&w->name, n));
    for (int64_t i = 0; i < n; i++)
        BW_TRY(take_tensor(w, i));
    settings_text(settings, sizeof settings, w);
    const bw_st_pair pair = { BW_TORCH_HEADS, settings };
    BW_TRY(bw__st_wrap(trunk, w->trunk, w->trunks, w->heads > 0 ? &pair : NULL));
    if (w->heads > 0) BW_TRY(bw__st_wrap(heads, w->head, w->heads, NULL));
    *out = w;
    w = NULL;
out:
    if (st != BW_OK) {
        bw__st_close(*trunk);
        bw__st_close(*heads);
        *trunk = *heads = NULL;
    }
    bw__torch_weights_close(w);
    return st;
}

void bw__torch_weights_close(bw_torch_weights *w)
{
    if (!w) return;
    bw__torch_close(w->file);
    bw__free(w->trunk);
    bw__free(w->head);
    bw__free(w->name);
    bw__free(w);
}

bool bw__torch_weights_have_projectors(const bw_torch_weights *weights)
{
    return weights->projectors > 0;
}
