/* A network under the names of the paper's authors: their resnet50.pth has trunk and heads, their
 * checkpoint.pth projectors and an optimiser too. The files are made here as torch.save() makes them, from a
 * small network of ours whose values must come back. */
#include "check.h"
#include "base/memory.h"
#include "model/network_entries.h"
#include "model/network_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

static bw_network *make(const char *more)
{
    bw_network *net;
    bw_config c = bw_config_default();
    char text[300];
    (void)snprintf(
        text, sizeof text,
        "model: {arch: resnet18, stem: cifar, width: 8}\nprojector.widths: [12, 10]\ntrain.batch: 6\n"
        "threads: 1\n%s",
        more);
    CHECK_OK(bw_config_load(&c, text, strlen(text), "test"));
    CHECK_OK(bw_config_resolve(&c));
    CHECK_OK(bw_network_create(&net, &c));
    for (int k = 0; k < net->blocks; k++)
        for (int64_t i = 0; i < net->params[k].total; i++)
            net->params[k].values[i] = (float)(1 + (i + 1000 * k) % 997); /* no two neighbours are alike */
    return net;
}

/* --- a file of torch.save() --- */

typedef struct writer {
    FILE *pickle;
    char *text;
    size_t bytes;
    zip_t *zip;
    int storages;
} writer;

static void put_text(writer *w, const char *text)
{
    size_t n = strlen(text);
    fputc('X', w->pickle);
    for (int i = 0; i < 4; i++)
        fputc((int)(n >> (8 * i)) & 0xff, w->pickle);
    (void)fwrite(text, 1, n, w->pickle);
}

static void put_int(writer *w, int64_t v)
{
    fputc('J', w->pickle);
    for (int i = 0; i < 4; i++)
        fputc((int)(v >> (8 * i)) & 0xff, w->pickle);
}

/* Stored as it is, as PyTorch does. */
static void add_entry(zip_t *zip, const char *name, const void *data, size_t bytes)
{
    zip_int64_t i = zip_file_add(zip, name, zip_source_buffer(zip, data, bytes, 0), 0);
    assert_true(i >= 0 && zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) == 0);
}

/* key: _rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict()) */
static void put_tensor(writer *w, const char *key, const char *type, int ndim, const int64_t *shape,
                       const void *data, size_t bytes, int64_t count)
{
    char name[64];
    put_text(w, key);
    (void)snprintf(name, sizeof name, "%d", w->storages++);
    fputs("ctorch._utils\n_rebuild_tensor_v2\n((", w->pickle);
    put_text(w, "storage");
    (void)fprintf(w->pickle, "ctorch\n%s\n", type);
    put_text(w, name);
    put_text(w, "cpu");
    put_int(w, count);
    fputs("tQ", w->pickle);
    put_int(w, 0);
    fputc('(', w->pickle);
    for (int d = 0; d < ndim; d++)
        put_int(w, shape[d]);
    fputs("t(", w->pickle);
    for (int d = 0; d < ndim; d++) {
        int64_t stride = 1;
        for (int e = d + 1; e < ndim; e++)
            stride *= shape[e];
        put_int(w, stride);
    }
    fputs("t\x89"
          "ccollections\nOrderedDict\n)RtR",
          w->pickle);
    (void)snprintf(name, sizeof name, "x/data/%d", w->storages - 1);
    add_entry(w->zip, name, data, bytes);
}

/* The authors' name of one of our tensors, below `wrapper`. */
static void their_name(char out[200], const char *wrapper, const char *name)
{
    int k;
    char rest[100];
    const char *backbone = wrapper[0] ? "module.backbone." : "";
    if (sscanf(name, "blocks.%d.head.conv.%99s", &k, rest) == 2)
        (void)snprintf(out, 200, "%spool_conv_block_%d.0.%s", backbone, k, rest);
    else if (sscanf(name, "blocks.%d.head.bn.%99s", &k, rest) == 2)
        (void)snprintf(out, 200, "%spool_conv_block_%d.1.%s", backbone, k, rest);
    else if (sscanf(name, "blocks.%d.projector.%99s", &k, rest) == 2)
        (void)snprintf(out, 200, "module.projector_list.%d.%s", k - 1, rest);
    else
        (void)snprintf(out, 200, "%s%s", backbone, name);
}

static void put_network(writer *w, const bw_network *net, const char *wrapper)
{
    for (int heads = 0; heads < 2; heads++) {
        bw_entry_list list;
        CHECK_OK(bw__entries_list(&list, net, heads == 1));
        for (int64_t i = 0; i < list.n; i++) {
            const bw_entry *e = &list.items[i];
            char name[200];
            int64_t count = 1;
            if (e->part == BW_PART_PROJECTOR && !wrapper[0]) continue;
            for (int d = 0; d < e->ndim; d++)
                count *= e->shape[d];
            their_name(name, wrapper, e->name);
            const bw_params *p = &net->params[e->block];
            if (e->counter)
                put_tensor(w, name, "LongStorage", 0, NULL, &p->batches_tracked, 8, 1);
            else
                put_tensor(w, name, "FloatStorage", e->ndim, e->shape, p->values + e->offset,
                           (size_t)count * 4, count);
        }
        bw__free(list.items);
    }
}

/* `wrapper` "": the state dict alone, as resnet50.pth; else a checkpoint with it below that key. */
static void save(const char *path, const bw_network *net, const char *wrapper, const char *extra)
{
    writer w = { 0 };
    int code;
    static const float one[] = { 1 };
    w.zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(w.zip);
    w.pickle = open_memstream(&w.text, &w.bytes);
    fputs("\x80\x02", w.pickle);
    if (wrapper[0]) {
        fputs("}(", w.pickle);
        put_text(&w, "epoch");
        put_int(&w, 300);
        put_text(&w, wrapper);
    }
    fputs("ccollections\nOrderedDict\n)R(", w.pickle);
    put_network(&w, net, wrapper);
    if (extra) put_tensor(&w, extra, "FloatStorage", 1, (int64_t[]){ 1 }, one, 4, 1);
    fputc('u', w.pickle);
    if (wrapper[0]) {
        put_tensor(&w, "optimizer.mu", "FloatStorage", 1, (int64_t[]){ 1 }, one, 4, 1); /* passed over */
        put_text(&w, "weight_decay_filter");
        fputs("c__main__\nexclude_bias_and_norm\n", w.pickle);
        fputc('u', w.pickle);
    }
    fputc('.', w.pickle);
    assert_int_equal(fclose(w.pickle), 0);
    add_entry(w.zip, "x/data.pkl", w.text, w.bytes);
    assert_int_equal(zip_close(w.zip), 0);
    free(w.text);
}

/* Values of parts up to `last` are equal. */
static void check_equal(const bw_network *a, const bw_network *b, bw_part last)
{
    assert_int_equal(a->blocks, b->blocks);
    for (int k = 0; k < a->blocks; k++)
        for (int i = 0; i < a->params[k].n; i++) {
            const bw_param *p = &a->params[k].items[i], *q = bw__params_find(&b->params[k], p->name);
            if (p->part > last) continue;
            assert_non_null(q);
            assert_memory_equal(a->params[k].values + p->offset, b->params[k].values + q->offset,
                                (size_t)p->count * sizeof(float));
        }
}

static const char *in_folder(const char *name)
{
    static char paths[2][4300]; /* the last two calls' */
    static int at;
    char *path = paths[at++ % 2];
    (void)snprintf(path, sizeof paths[0], "%s/%s", temp_folder(), name);
    return path;
}

static void published_weights_are_trunk_and_heads(void **state)
{
    (void)state;
    bw_network *net = make(""), *loaded;
    const char *path = in_folder("resnet50.pth");
    save(path, net, "", "fc.weight");
    CHECK_OK(bw_network_load(&loaded, path));
    assert_true(bw_network_has_heads(loaded));
    check_equal(net, loaded, BW_PART_HEAD);
    /* Nothing is counted or written that the file does not have. */
    assert_false(bw_network_has_projectors(loaded));
    for (int k = 0; k < net->blocks; k++) {
        const bw_block_spec *s = &net->spec[k];
        int64_t head = s->head_dim * s->out_c + 2 * s->head_dim;
        assert_int_equal(bw_network_parameters(loaded, k, true), bw_network_parameters(net, k, false) + head);
    }
    assert_int_equal(bw_network_save(loaded, in_folder("m.safetensors"), in_folder("h.safetensors")),
                     BW_EINVAL);
    bw_network_free(loaded);
    bw_network_free(net);
}

static void every_verb_takes_it(void **state)
{
    (void)state;
    char command[9000];
    const char *source = getenv("BW_SOURCE");
    bw_network *net = make("data.image_size: 16\n");
    const char *path = in_folder("resnet18.pth");
    save(path, net, "", "fc.weight");
    assert_non_null(source);
    (void)snprintf(command, sizeof command, "bash '%s/tests/cli/lib/torch_model.sh' '%s'", source, path);
    assert_int_equal(system(command), 0);
    bw_network_free(net);
}

static void filter_of_three_is_seen(void **state)
{
    (void)state;
    bw_network *net = make("head: {filter: 3, dim: 40}\n"), *loaded;
    const char *path = in_folder("resnet50.pth");
    save(path, net, "", NULL);
    CHECK_OK(bw_network_load(&loaded, path));
    assert_int_equal(bw_network_feature_dim(loaded, 0, BW_FEATURE_HEAD), 40);
    check_equal(net, loaded, BW_PART_HEAD);
    bw_network_free(loaded);
    bw_network_free(net);
}

static void checkpoint_has_projectors_too(void **state)
{
    (void)state;
    bw_network *net = make(""), *loaded, *begun = make("seed: 5\n");
    const char *path = in_folder("checkpoint.pth");
    save(path, net, "model", NULL);
    CHECK_OK(bw_network_load(&loaded, path));
    check_equal(net, loaded, BW_PART_PROJECTOR);
    for (int k = 0; k < net->blocks; k++)
        assert_int_equal(bw_network_parameters(loaded, k, true), bw_network_parameters(net, k, true));
    /* And they are weights to start from. */
    for (int k = 0; k < begun->blocks; k++)
        memset(begun->params[k].values, 0, (size_t)begun->params[k].total * sizeof(float));
    CHECK_OK(bw_network_init_from(begun, path));
    check_equal(net, begun, BW_PART_PROJECTOR);
    bw_network_free(begun);
    bw_network_free(loaded);
    bw_network_free(net);
}

static void tensor_that_belongs_nowhere_is_named(void **state)
{
    (void)state;
    bw_network *net = make(""), *loaded;
    const char *path = in_folder("resnet50.pth");
    save(path, net, "", "layer9.weight");
    assert_int_equal(bw_network_load(&loaded, path), BW_ESHAPE);
    assert_non_null(strstr(bw_last_error(), "layer9.weight"));
    bw_network_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_weights_are_trunk_and_heads),
        cmocka_unit_test(every_verb_takes_it),
        cmocka_unit_test(filter_of_three_is_seen),
        cmocka_unit_test(checkpoint_has_projectors_too),
        cmocka_unit_test(tensor_that_belongs_nowhere_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
