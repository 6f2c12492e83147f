/* Files of weights: torchvision's names and shapes out, and in again; and every way a file can be wrong. */
#include "check.h"
#include "base/memory.h"
#include "failing_allocator.h"
#include "formats/file.h"
#include "formats/safetensors.h"
#include "model/network_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TENSORS = 700 };

static char folder[4200], log_text[4096], info_text[4096];

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level == BW_LOG_WARN) (void)snprintf(log_text, sizeof log_text, "%s", line);
    if (level == BW_LOG_INFO) (void)snprintf(info_text, sizeof info_text, "%s", line);
}

static int fresh_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", temp_folder());
    log_text[0] = '\0';
    bw_set_log(keep_log, NULL);
    return 0;
}

/* Path in the test's folder; four may be in use at once. */
static const char *in_folder(const char *name)
{
    static char paths[4][4400];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static bw_config small_config(const char *arch, const char *stem)
{
    char text[400];
    bw_config c = bw_config_default();
    (void)snprintf(text, sizeof text,
                   "model: {arch: %s, stem: %s, width: 8}\nprojector: {widths: [12, 10]}\n"
                   "train: {batch: 6}\nthreads: 1\n",
                   arch, stem);
    CHECK_OK(bw_config_load(&c, text, strlen(text), "test"));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

/* A network in which no two values are alike, so that a swap cannot pass. */
static bw_network *make(const char *arch, const char *stem)
{
    bw_network *net = NULL;
    bw_config c = small_config(arch, stem);
    CHECK_OK(bw_network_create(&net, &c));
    float next = 1.0f;
    for (int k = 0; k < net->blocks; k++) {
        for (int64_t i = 0; i < net->params[k].total; i++, next += 1.0f)
            net->params[k].values[i] = next / 1024.0f;
        net->params[k].batches_tracked = 34;
    }
    net->steps = 17;
    return net;
}

static void save_both(const bw_network *net)
{
    CHECK_OK(bw_network_save(net, in_folder("model.safetensors"), in_folder("heads.safetensors")));
}

/* Tensors of a file that a test changes before writing them again. */
typedef struct edited {
    bw_st_file *file;
    bw_st_tensor tensors[MAX_TENSORS];
    int64_t n;
} edited;

static void edit(edited *e, const char *path)
{
    CHECK_OK(bw__st_open(&e->file, path));
    e->n = bw__st_count(e->file);
    assert_true(e->n < MAX_TENSORS - 2);
    for (int64_t i = 0; i < e->n; i++)
        e->tensors[i] = *bw__st_at(e->file, i);
}

static bw_st_tensor *tensor(edited *e, const char *name)
{
    for (int64_t i = 0; i < e->n; i++)
        if (strcmp(e->tensors[i].name, name) == 0) return &e->tensors[i];
    fail_msg("%s is not in the file", name);
    return NULL;
}

static void drop(edited *e, const char *name)
{
    bw_st_tensor *t = tensor(e, name);
    memmove(t, t + 1, (size_t)(&e->tensors[--e->n] - t) * sizeof *t);
}

/* Writes it under `path` without metadata, as other programs do. */
static void write_bare(edited *e, const char *path)
{
    CHECK_OK(bw__st_write(path, e->tensors, e->n, NULL, 0));
    bw__st_close(e->file);
}

static void assert_same_values(const bw_network *a, const bw_network *b, bw_part last)
{
    assert_int_equal(a->blocks, b->blocks);
    for (int k = 0; k < a->blocks; k++) {
        for (int i = 0; i < a->params[k].n; i++) {
            const bw_param *p = &a->params[k].items[i], *q = NULL;
            if (p->part > last) continue;
            for (int j = 0; j < b->params[k].n; j++)
                if (strcmp(b->params[k].items[j].name, p->name) == 0) q = &b->params[k].items[j];
            assert_non_null(q);
            assert_int_equal(p->count, q->count);
            assert_memory_equal(a->params[k].values + p->offset, b->params[k].values + q->offset,
                                (size_t)p->count * sizeof(float));
        }
        assert_int_equal(a->params[k].batches_tracked, b->params[k].batches_tracked);
    }
}

static void assert_error(bw_status got, bw_status want, const char *first, const char *second,
                         const char *third)
{
    const char *parts[] = { first, second, third };
    assert_int_equal(got, want);
    for (int i = 0; i < 3; i++)
        if (!strstr(bw_last_error(), parts[i])) fail_msg("no '%s' in: %s", parts[i], bw_last_error());
}

/* --- writing --- */

/* torchvision's own list, of width 64; a network of width 8 has an eighth of every number of channels. */
static void compare_with_torchvision(const char *arch)
{
    char name[64], line[256], list_name[64];
    bw_st_file *file = NULL;
    int64_t i = 0;
    bw_network *net = make(arch, "imagenet");
    save_both(net);
    bw_network_free(net);
    CHECK_OK(bw__st_open(&file, in_folder("model.safetensors")));
    (void)snprintf(list_name, sizeof list_name, "state_dict/%s.txt", arch);
    FILE *list = fopen(fixture_path(list_name), "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        int used = 0;
        assert_int_equal(sscanf(line, "%63s%n", name, &used), 1);
        if (strncmp(name, "fc.", 3) == 0) continue;
        assert_true(i < bw__st_count(file));
        const bw_st_tensor *t = bw__st_at(file, i++);
        assert_string_equal(t->name, name);
        char *rest = line + used;
        for (int d = 0; d < t->ndim; d++) {
            int64_t want = strtoll(rest, &rest, 10);
            bool channels = d < 2 && want != 3;
            assert_int_equal(t->shape[d] * (channels ? 8 : 1), want);
        }
        assert_int_equal(strtoll(rest, NULL, 10), 0);
        assert_int_equal(t->dtype, strstr(name, "num_batches") ? BW_ST_I64 : BW_ST_F32);
    }
    assert_int_equal(fclose(list), 0);
    assert_int_equal(i, bw__st_count(file));
    bw__st_close(file);
}

static void trunk_has_torchvisions_names_shapes_and_order(void **state)
{
    (void)state;
    compare_with_torchvision("resnet18");
    compare_with_torchvision("resnet50");
}

static void trunk_says_what_it_is(void **state)
{
    (void)state;
    bw_st_file *file = NULL;
    bw_network *net = make("resnet34", "cifar");
    save_both(net);
    CHECK_OK(bw__st_open(&file, in_folder("model.safetensors")));
    const char *pairs[][2] = {
        { "format", "pt" },  { "arch", "resnet34" },      { "width", "8" },
        { "stem", "cifar" }, { "cuts", "stages" },        { "order", "simultaneous" },
        { "blocks", "4" },   { "image_size", "32" },      { "steps", "17" },
        { "seed", "0" },     { "version", bw_version() }, { "mean", "[0.485, 0.456, 0.406]" }
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *value = bw__st_metadata(file, pairs[i][0]);
        assert_non_null(value);
        assert_string_equal(value, pairs[i][1]);
    }
    assert_non_null(bw__st_metadata(file, "std"));
    assert_non_null(bw__st_metadata(file, "config"));
    bw__st_close(file);
    bw_network_free(net);
}

static void same_network_same_bytes_whatever_the_threads(void **state)
{
    (void)state;
    char *a[2], *b[2];
    size_t na[2], nb[2];
    const char *names[] = { "model.safetensors", "heads.safetensors" };
    bw_network *net = make("resnet18", "cifar");
    save_both(net);
    for (int i = 0; i < 2; i++)
        CHECK_OK(bw__file_read(&a[i], &na[i], in_folder(names[i]), 1 << 27));
    net->config.threads = 2;
    net->config.data.threads = 7;
    net->config.checkpoint.every = 3;
    save_both(net);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(bw__file_read(&b[i], &nb[i], in_folder(names[i]), 1 << 27));
        assert_int_equal(na[i], nb[i]);
        assert_memory_equal(a[i], b[i], na[i]);
        bw__free(a[i]);
        bw__free(b[i]);
    }
    bw_network_free(net);
}

static void an_unwritable_place_is_named(void **state)
{
    (void)state;
    bw_network *net = make("resnet18", "cifar");
    assert_error(bw_network_save(net, "/nowhere/model.safetensors", NULL), BW_EIO,
                 "/nowhere/model.safetensors", "", "");
    bw_network_free(net);
}

/* --- reading --- */

static void what_was_saved_is_loaded_again(void **state)
{
    (void)state;
    bw_network *net = make("resnet50", "cifar"), *got = NULL;
    save_both(net);
    /* By the run's folder and by the file. */
    const char *paths[] = { folder, in_folder("model.safetensors") };
    for (int i = 0; i < 2; i++) {
        CHECK_OK(bw_network_load(&got, paths[i]));
        assert_true(bw_network_has_heads(got));
        assert_same_values(net, got, BW_PART_PROJECTOR);
        assert_int_equal(got->steps, 17);
        assert_int_equal(got->config.train.batch, 6);
        CHECK_OK(bw_config_same_run(&net->config, &got->config));
        bw_network_free(got);
    }
    bw_network_free(net);
}

/* A network of resnet18 that is trained end to end, with the cuts given. */
static bw_network *make_end_to_end(const char *cuts, bool cbe)
{
    bw_config c = small_config("resnet18", "cifar");
    bw_network *net = NULL;
    CHECK_OK(bw_config_set(&c, "train.order=end-to-end"));
    CHECK_OK(bw_config_set(&c, cuts));
    if (!cbe) c.head.dim = 0;
    CHECK_OK(bw_config_set(&c, cbe ? "head.pool=cbe" : "head.pool=gsp"));
    CHECK_OK(bw_config_resolve(&c));
    CHECK_OK(bw_network_create(&net, &c));
    return net;
}

static void assert_same_tensor(const bw_network *a, int block_a, const bw_network *b, int block_b,
                               const char *name)
{
    const bw_param *p = bw__params_find(&a->params[block_a], name),
                   *q = bw__params_find(&b->params[block_b], name);
    assert_non_null(p);
    assert_non_null(q);
    assert_int_equal(p->count, q->count);
    assert_memory_equal(a->params[block_a].values + p->offset, b->params[block_b].values + q->offset,
                        (size_t)p->count * sizeof(float));
}

static void a_network_trained_end_to_end_is_loaded_as_the_blocks_of_its_cuts(void **state)
{
    (void)state;
    bw_network *net = make_end_to_end("model.cuts=[1, 5]", true), *got = NULL;
    net->params[0].batches_tracked = 7;
    assert_int_equal(bw_network_blocks(net), 1);
    save_both(net);
    CHECK_OK(bw_network_load(&got, folder));
    assert_int_equal(bw_network_blocks(got), 3);
    assert_true(bw_network_has_heads(got));
    assert_same_tensor(net, 0, got, 0, "layer1.0.conv2.weight");
    assert_same_tensor(net, 0, got, 1, "layer1.1.conv1.weight");
    assert_same_tensor(net, 0, got, 1, "layer3.0.bn1.running_var");
    assert_same_tensor(net, 0, got, 2, "layer3.1.bn1.running_var");
    assert_same_tensor(net, 0, got, 2, "blocks.3.head.conv.weight");
    assert_same_tensor(net, 0, got, 2, "blocks.3.projector.3.weight");
    assert_int_equal(got->params[1].batches_tracked, 7);
    const int64_t width[] = { 8, 32, 64 };
    for (int k = 0; k < 3; k++) {
        assert_int_equal(bw_network_feature_dim(got, k, BW_FEATURE_TRUNK), width[k]);
        assert_int_equal(bw_network_feature_dim(got, k, BW_FEATURE_HEAD),
                         k < 2 ? width[k] : net->spec[0].head_dim);
    }
    /* What was loaded is written as what was trained. */
    CHECK_OK(bw_network_save(got, in_folder("again.safetensors"), NULL));
    got->steps = net->steps;
    bw_st_file *first = NULL, *again = NULL;
    CHECK_OK(bw__st_open(&first, in_folder("model.safetensors")));
    CHECK_OK(bw__st_open(&again, in_folder("again.safetensors")));
    assert_int_equal(bw__st_count(first), bw__st_count(again));
    for (int64_t i = 0; i < bw__st_count(first); i++) {
        const bw_st_tensor *t = bw__st_at(first, i), *u = bw__st_at(again, i);
        assert_string_equal(t->name, u->name);
        assert_memory_equal(t->data, u->data, t->bytes);
    }
    assert_string_equal(bw__st_metadata(first, "blocks"), "3");
    assert_string_equal(bw__st_metadata(first, "cuts"), "[1, 5]");
    assert_string_equal(bw__st_metadata(again, "blocks"), "3");
    bw__st_close(first);
    bw__st_close(again);
    bw_network_free(got);
    bw_network_free(net);
}

static void a_view_sees_the_values_that_training_changes(void **state)
{
    (void)state;
    bw_network *net = make_end_to_end("model.cuts=units", false), *view = NULL;
    CHECK_OK(bw__network_view(&view, net));
    assert_int_equal(bw_network_blocks(view), 8);
    const bw_param *p = bw__params_find(&net->params[0], "layer3.1.conv1.weight");
    net->params[0].values[p->offset + 5] = 42.0f;
    const bw_param *seen = bw__params_find(&view->params[5], "layer3.1.conv1.weight");
    assert_true(view->params[5].values[seen->offset + 5] == 42.0f);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < view->params[k].n; i++)
            assert_same_tensor(net, 0, view, k, view->params[k].items[i].name);
    bw_network_free(view); /* and leaves the values alone */
    assert_true(net->params[0].values[p->offset + 5] == 42.0f);
    bw_network_free(net);
}

static void a_bare_trunk_is_loaded_without_heads(void **state)
{
    (void)state;
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    CHECK_OK(bw_network_save(net, in_folder("model.safetensors"), NULL));
    CHECK_OK(bw_network_load(&got, folder));
    assert_false(bw_network_has_heads(got));
    assert_same_values(got, net, BW_PART_TRUNK);
    bw_network_free(got);
    bw_network_free(net);
}

static void heads_of_another_network_are_left_out_with_a_warning(void **state)
{
    (void)state;
    bw_network *net = make("resnet18", "cifar"), *other = make("resnet50", "cifar"), *got = NULL;
    CHECK_OK(bw_network_save(other, in_folder("other.safetensors"), in_folder("heads.safetensors")));
    CHECK_OK(bw_network_save(net, in_folder("model.safetensors"), NULL));
    CHECK_OK(bw_network_load(&got, folder));
    assert_false(bw_network_has_heads(got));
    assert_non_null(strstr(log_text, "heads.safetensors"));
    assert_same_values(got, net, BW_PART_TRUNK);
    bw_network_free(got);
    /* Damaged ones too. */
    log_text[0] = '\0';
    assert_int_equal(truncate(in_folder("heads.safetensors"), 100), 0);
    CHECK_OK(bw_network_load(&got, folder));
    assert_false(bw_network_has_heads(got));
    assert_non_null(strstr(log_text, "heads.safetensors"));
    bw_network_free(got);
    bw_network_free(other);
    bw_network_free(net);
}

static void architecture_is_found_from_names_and_shapes(void **state)
{
    (void)state;
    static edited e;
    const char *archs[] = { "resnet18", "resnet34", "resnet50", "resnet101" };
    const char *stems[] = { "imagenet", "cifar" };
    static const float classifier[3] = { 1, 2, 3 };
    for (int a = 0; a < 4; a++) {
        bw_network *net = make(archs[a], stems[a % 2]), *got = NULL;
        CHECK_OK(bw_network_save(net, in_folder("saved.safetensors"), NULL));
        edit(&e, in_folder("saved.safetensors"));
        e.tensors[e.n++] = (bw_st_tensor){ "fc.bias", BW_ST_F32, 1, { 3 }, classifier, sizeof classifier };
        write_bare(&e, in_folder("bare.safetensors"));
        CHECK_OK(bw_network_load(&got, in_folder("bare.safetensors")));
        assert_int_equal(got->config.model.arch, net->config.model.arch);
        assert_int_equal(got->config.model.stem, net->config.model.stem);
        assert_int_equal(got->config.model.width, 8);
        assert_int_equal(got->config.data.image_size, a % 2 ? 32 : 224);
        assert_same_values(got, net, BW_PART_TRUNK);
        bw_network_free(got);
        bw_network_free(net);
    }
}

static void counters_may_be_missing(void **state)
{
    (void)state;
    static edited e;
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    save_both(net);
    edit(&e, in_folder("model.safetensors"));
    for (int64_t i = e.n - 1; i >= 0; i--)
        if (strstr(e.tensors[i].name, "num_batches_tracked")) drop(&e, e.tensors[i].name);
    write_bare(&e, in_folder("old.safetensors"));
    CHECK_OK(bw_network_load(&got, in_folder("old.safetensors")));
    assert_int_equal(got->params[0].batches_tracked, 0);
    bw_network_free(got);
    bw_network_free(net);
}

/* --- small files that claim large networks --- */

static void write_with_config(const char *name, const bw_st_tensor *tensors, int64_t n, const char *config)
{
    const bw_st_pair pair = { "config", config };
    CHECK_OK(bw__st_write(in_folder(name), tensors, n, &pair, 1));
}

static void a_file_is_compared_before_memory_is_taken_for_what_it_claims(void **state)
{
    (void)state;
    static const float some[2] = { 1, 2 };
    static edited e;
    /* As much as the network of width 8 wants, and far less than what is claimed. */
    failing_allocator little = { .most = 16 << 20 };
    const bw_st_tensor one = { "layer1.0.conv1.weight", BW_ST_F32, 1, { 2 }, some, sizeof some };
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    save_both(net);
    bw_network_free(net);
    /* A trunk of a gigabyte. */
    write_with_config("wide.safetensors", &one, 1, "model: {arch: resnet18, stem: cifar, width: 512}\n");
    /* Heads and projectors of 17 of them, on a trunk that is there. */
    edit(&e, in_folder("model.safetensors"));
    write_with_config(
        "model.safetensors", e.tensors, e.n,
        "model: {arch: resnet18, stem: cifar, width: 8}\nprojector: {widths: [65536, 16384]}\n");
    bw__st_close(e.file);
    CHECK_OK(bw__st_write(in_folder("heads.safetensors"), &one, 1, NULL, 0));

    failing_allocator_begin(&little);
    assert_error(bw_network_load(&got, in_folder("wide.safetensors")), BW_ESHAPE, "wide.safetensors",
                 "conv1.weight [512, 3, 3, 3] is missing", "");
    assert_null(got);
    CHECK_OK(bw_network_load(&got, in_folder("model.safetensors")));
    assert_false(bw_network_has_heads(got));
    assert_non_null(strstr(log_text, "the heads are not used"));
    bw_network_free(got);
    failing_allocator_end();
}

static void numbers_of_blocks_that_are_none_have_nothing(void **state)
{
    (void)state;
    bw_network *net = make("resnet18", "cifar");
    const int none[] = { -1, 4, 70 };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bw_network_feature_dim(net, none[i], BW_FEATURE_HEAD), 0);
        assert_int_equal(bw_network_feature_dim(net, none[i], BW_FEATURE_TRUNK), 0);
        assert_int_equal(bw_network_parameters(net, none[i], true), 0);
    }
    assert_int_equal(bw_network_feature_dim(net, 3, (bw_feature)9), 0);
    assert_true(bw_network_feature_dim(net, 3, BW_FEATURE_TRUNK) > 0);
    assert_int_equal(bw_network_export_onnx(net, in_folder("x.onnx"), 3, (bw_feature)9, NULL), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "9 is no feature"));
    assert_int_equal(access(in_folder("x.onnx"), F_OK), -1);
    bw_network_free(net);
}

/* --- what is wrong is named --- */

static void a_wrong_shape_is_named_with_both(void **state)
{
    (void)state;
    static edited e;
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    save_both(net);
    edit(&e, in_folder("model.safetensors"));
    bw_st_tensor *t = tensor(&e, "layer2.0.conv1.weight"); /* [16, 8, 3, 3] */
    t->shape[0] = 8;
    t->shape[1] = 16;
    write_bare(&e, in_folder("wrong.safetensors"));
    assert_error(bw_network_load(&got, in_folder("wrong.safetensors")), BW_ESHAPE, "layer2.0.conv1.weight",
                 "[8, 16, 3, 3]", "[16, 8, 3, 3]");
    assert_null(got);
    bw_network_free(net);
}

static void a_missing_tensor_is_named(void **state)
{
    (void)state;
    static edited e;
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    save_both(net);
    edit(&e, in_folder("model.safetensors"));
    drop(&e, "layer4.1.bn2.running_var");
    write_bare(&e, in_folder("wrong.safetensors"));
    assert_error(bw_network_load(&got, in_folder("wrong.safetensors")), BW_ESHAPE, "layer4.1.bn2.running_var",
                 "missing", "[64]");
    bw_network_free(net);
}

static void a_tensor_of_something_else_is_named(void **state)
{
    (void)state;
    static edited e;
    static const float extra[2] = { 1, 2 };
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    save_both(net);
    edit(&e, in_folder("model.safetensors"));
    e.tensors[e.n++] = (bw_st_tensor){ "layer1.0.se.weight", BW_ST_F32, 1, { 2 }, extra, sizeof extra };
    write_bare(&e, in_folder("wrong.safetensors"));
    assert_error(bw_network_load(&got, in_folder("wrong.safetensors")), BW_ESHAPE, "layer1.0.se.weight",
                 "[2]", "not part of");
    bw_network_free(net);
}

static void an_unknown_architecture_is_said(void **state)
{
    (void)state;
    static edited e;
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    save_both(net);
    edit(&e, in_folder("model.safetensors"));
    drop(&e, "layer3.1.conv1.weight");
    write_bare(&e, in_folder("wrong.safetensors"));
    assert_error(bw_network_load(&got, in_folder("wrong.safetensors")), BW_ESHAPE, "2, 2, 1 and 2 basic",
                 "resnet18", "wrong.safetensors");
    edit(&e, in_folder("model.safetensors"));
    drop(&e, "conv1.weight");
    write_bare(&e, in_folder("wrong.safetensors"));
    assert_error(bw_network_load(&got, in_folder("wrong.safetensors")), BW_ESHAPE, "conv1.weight", "missing",
                 "");
    bw_network_free(net);
}

static void what_is_missing_or_damaged_is_said(void **state)
{
    (void)state;
    bw_network *net = make("resnet18", "cifar"), *got = NULL;
    assert_error(bw_network_load(&got, in_folder("nothing")), BW_EDATA, "nothing", "No such file", "");
    assert_error(bw_network_load(&got, folder), BW_EDATA, folder, "no model.safetensors", "--resume");
    save_both(net);
    assert_int_equal(truncate(in_folder("model.safetensors"), 5000), 0);
    assert_error(bw_network_load(&got, folder), BW_EDATA, "model.safetensors", "", "");
    assert_null(got);
    bw_network_free(net);
}

/* --- starting from given weights --- */

static void init_takes_trunk_and_matching_heads(void **state)
{
    (void)state;
    bw_network *from = make("resnet18", "cifar"), *net = NULL;
    bw_config c = small_config("resnet18", "cifar");
    save_both(from);
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_network_init_from(net, folder));
    assert_same_values(from, net, BW_PART_PROJECTOR);
    assert_int_equal(net->steps, 0);
    bw_network_free(net);
    bw_network_free(from);
}

static void init_keeps_own_heads_where_the_file_has_none(void **state)
{
    (void)state;
    bw_network *from = make("resnet18", "cifar"), *net = NULL, *drawn = NULL;
    bw_config c = small_config("resnet18", "cifar");
    CHECK_OK(bw_network_save(from, in_folder("trunk.safetensors"), NULL));
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_network_create(&drawn, &c));
    CHECK_OK(bw_network_init_from(net, in_folder("trunk.safetensors")));
    assert_same_values(from, net, BW_PART_TRUNK);
    int heads = 0;
    for (int i = 0; i < net->params[0].n; i++) {
        const bw_param *p = &net->params[0].items[i];
        if (p->part == BW_PART_TRUNK) continue;
        heads++;
        assert_memory_equal(net->params[0].values + p->offset, drawn->params[0].values + p->offset,
                            (size_t)p->count * sizeof(float));
    }
    assert_true(heads > 0);
    bw_network_free(net);
    bw_network_free(drawn);
    bw_network_free(from);
}

static void init_goes_between_blockwise_and_end_to_end(void **state)
{
    (void)state;
    bw_network *blockwise = make("resnet18", "cifar"), *whole = make_end_to_end("model.cuts=stages", false);
    blockwise->params[1].batches_tracked = 3;
    save_both(blockwise);
    CHECK_OK(bw_network_init_from(whole, folder));
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < blockwise->params[k].n; i++)
            if (blockwise->params[k].items[i].part == BW_PART_TRUNK)
                assert_same_tensor(blockwise, k, whole, 0, blockwise->params[k].items[i].name);
    /* A projector behind gsp fits one behind cbe: their inputs are as wide. */
    assert_same_tensor(blockwise, 3, whole, 0, "blocks.4.projector.0.weight");
    bw_network_free(whole);

    /* And back: the head of the whole network is the last block's; the others keep theirs. */
    whole = make_end_to_end("model.cuts=stages", true);
    for (int64_t i = 0; i < whole->params[0].total; i++)
        whole->params[0].values[i] += 0.5f;
    save_both(whole);
    float first = blockwise->params[0]
                      .values[bw__params_find(&blockwise->params[0], "blocks.1.head.conv.weight")->offset];
    CHECK_OK(bw_network_init_from(blockwise, folder));
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < blockwise->params[k].n; i++)
            if (blockwise->params[k].items[i].part == BW_PART_TRUNK || k == 3)
                assert_same_tensor(blockwise, k, whole, 0, blockwise->params[k].items[i].name);
    assert_true(first ==
                blockwise->params[0]
                    .values[bw__params_find(&blockwise->params[0], "blocks.1.head.conv.weight")->offset]);
    assert_non_null(strstr(info_text, "2 of 8 heads and projectors taken over"));
    bw_network_free(whole);
    bw_network_free(blockwise);
}

static void init_of_chosen_blocks_leaves_the_others_as_they_were_drawn(void **state)
{
    (void)state;
    bw_network *from = make("resnet18", "cifar"), *net = NULL, *drawn = NULL;
    bw_config c = small_config("resnet18", "cifar");
    CHECK_OK(bw_config_set(&c, "train.init_blocks=[1,3]"));
    CHECK_OK(bw_config_resolve(&c));
    for (int k = 0; k < 4; k++) {
        for (int64_t i = 0; i < from->params[k].total; i++)
            from->params[k].values[i] += 0.5f;
        from->params[k].batches_tracked = 7;
    }
    save_both(from);
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_network_create(&drawn, &c));
    CHECK_OK(bw_network_init_from(net, folder));
    for (int k = 0; k < 4; k++) {
        const bw_network *want = k % 2 == 0 ? from : drawn;
        assert_memory_equal(net->params[k].values, want->params[k].values,
                            (size_t)net->params[k].total * sizeof(float));
        assert_int_equal(net->params[k].batches_tracked, want->params[k].batches_tracked);
    }
    assert_non_null(strstr(info_text, "block 4: begins afresh"));
    bw_network_free(net);
    bw_network_free(drawn);
    bw_network_free(from);
}

static void init_is_all_or_nothing(void **state)
{
    (void)state;
    static edited e;
    bw_network *from = make("resnet18", "cifar"), *net = NULL, *drawn = NULL;
    bw_config c = small_config("resnet18", "cifar");
    save_both(from);
    edit(&e, in_folder("model.safetensors"));
    drop(&e, "layer4.1.bn2.running_var"); /* nearly the last */
    write_bare(&e, in_folder("wrong.safetensors"));
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_network_create(&drawn, &c));
    assert_int_equal(bw_network_init_from(net, in_folder("wrong.safetensors")), BW_ESHAPE);
    assert_same_values(net, drawn, BW_PART_PROJECTOR);
    bw_network_free(net);
    bw_network_free(drawn);
    bw_network_free(from);
}

static void init_with_another_architecture_is_refused(void **state)
{
    (void)state;
    bw_network *from = make("resnet50", "cifar"), *net = make("resnet18", "cifar");
    save_both(from);
    assert_error(bw_network_init_from(net, folder), BW_ESHAPE, "layer1.0.conv1.weight", "[8, 8, 1, 1]",
                 "[8, 8, 3, 3]");
    bw_network_free(from);
    bw_network_free(net);
}

static void init_with_another_stem_says_which_settings_must_agree(void **state)
{
    (void)state;
    bw_network *from = make("resnet18", "cifar"), *net = make("resnet18", "imagenet");
    save_both(from);
    assert_error(bw_network_init_from(net, folder), BW_ESHAPE, "conv1.weight",
                 "(resnet18 of width 8, stem imagenet)", "model.arch, model.width and model.stem");
    bw_network_free(from);
    bw_network_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_is_compared_before_memory_is_taken_for_what_it_claims, fresh_folder),
        cmocka_unit_test_setup(numbers_of_blocks_that_are_none_have_nothing, fresh_folder),
        cmocka_unit_test_setup(trunk_has_torchvisions_names_shapes_and_order, fresh_folder),
        cmocka_unit_test_setup(trunk_says_what_it_is, fresh_folder),
        cmocka_unit_test_setup(same_network_same_bytes_whatever_the_threads, fresh_folder),
        cmocka_unit_test_setup(an_unwritable_place_is_named, fresh_folder),
        cmocka_unit_test_setup(what_was_saved_is_loaded_again, fresh_folder),
        cmocka_unit_test_setup(a_network_trained_end_to_end_is_loaded_as_the_blocks_of_its_cuts,
                               fresh_folder),
        cmocka_unit_test(a_view_sees_the_values_that_training_changes),
        cmocka_unit_test_setup(a_bare_trunk_is_loaded_without_heads, fresh_folder),
        cmocka_unit_test_setup(heads_of_another_network_are_left_out_with_a_warning, fresh_folder),
        cmocka_unit_test_setup(architecture_is_found_from_names_and_shapes, fresh_folder),
        cmocka_unit_test_setup(counters_may_be_missing, fresh_folder),
        cmocka_unit_test_setup(a_wrong_shape_is_named_with_both, fresh_folder),
        cmocka_unit_test_setup(a_missing_tensor_is_named, fresh_folder),
        cmocka_unit_test_setup(a_tensor_of_something_else_is_named, fresh_folder),
        cmocka_unit_test_setup(an_unknown_architecture_is_said, fresh_folder),
        cmocka_unit_test_setup(what_is_missing_or_damaged_is_said, fresh_folder),
        cmocka_unit_test_setup(init_takes_trunk_and_matching_heads, fresh_folder),
        cmocka_unit_test_setup(init_keeps_own_heads_where_the_file_has_none, fresh_folder),
        cmocka_unit_test_setup(init_goes_between_blockwise_and_end_to_end, fresh_folder),
        cmocka_unit_test_setup(init_of_chosen_blocks_leaves_the_others_as_they_were_drawn, fresh_folder),
        cmocka_unit_test_setup(init_is_all_or_nothing, fresh_folder),
        cmocka_unit_test_setup(init_with_another_architecture_is_refused, fresh_folder),
        cmocka_unit_test_setup(init_with_another_stem_says_which_settings_must_agree, fresh_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
