/* An exported ONNX model gives our own features in other runtimes: OpenCV's DNN, and onnxruntime for node.
 * Each is left out where it is not installed; the test is skipped where neither is. */
#include "check.h"
#include "base/memory.h"
#include "base/rng.h"
#include "formats/file.h"
#include "formats/npy.h"
#include "model/network_internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { SKIPPED = 77, RUNTIMES = 2 };
static const char *const NAMES[RUNTIMES] = { "OpenCV", "onnxruntime" };
static int compared[RUNTIMES];
static double worst[RUNTIMES];

static int run(const char *command)
{
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* images in both layouts, drawn. */
typedef struct batch {
    int64_t n, h, w;
    float *nhwc, *nchw;
} batch;

static batch draw(int64_t n, int64_t h, int64_t w)
{
    batch b = { .n = n, .h = h, .w = w };
    int64_t count = n * h * w * 3;
    CHECK_OK(BW_ALLOC(&b.nhwc, count));
    CHECK_OK(BW_ALLOC(&b.nchw, count));
    bw_rng rng = bw__rng(7, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&rng, b.nhwc, count);
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < h * w; p++)
            for (int64_t c = 0; c < 3; c++)
                b.nchw[(i * 3 + c) * h * w + p] = b.nhwc[(i * h * w + p) * 3 + c];
    return b;
}

/* Features by `runtime` [n * dim], owned by the caller; NULL where it is not installed. */
static float *features_of(int runtime, const char *folder, const char *model, const batch *b, int64_t dim)
{
    char images[4200], features[4200], command[16000];
    const char *source = getenv("BW_SOURCE");
    const int64_t shape[4] = { b->n, 3, b->h, b->w };
    size_t bytes = (size_t)(b->n * dim) * sizeof(float), got = 0;
    (void)snprintf(images, sizeof images, "%s/images", folder);
    (void)snprintf(features, sizeof features, "%s/features%s", folder, runtime == 0 ? ".npy" : "");
    if (runtime == 0) {
        CHECK_OK(bw__npy_write(images, BW_NPY_F32, b->nchw, 4, shape));
        (void)snprintf(command, sizeof command,
                       "/usr/bin/python3 '%s/tests/python/run_onnx.py' '%s' '%s' '%s'", source, model, images,
                       features);
    } else {
        FILE *f = fopen(images, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(b->nchw, 4, (size_t)(b->n * 3 * b->h * b->w), f), b->n * 3 * b->h * b->w);
        assert_int_equal(fclose(f), 0);
        (void)snprintf(
            command, sizeof command,
            "command -v node >/dev/null || exit 77; node '%s/tests/python/run_onnx.js' '%s' '%s' '%s' "
            "%lld %lld %lld",
            source, model, images, features, (long long)b->n, (long long)b->h, (long long)b->w);
    }
    int code = run(command);
    if (code == SKIPPED) return NULL;
    assert_int_equal(code, 0);
    if (runtime == 0) {
        bw_npy_dtype dtype;
        int ndim;
        int64_t found[8];
        void *values = NULL;
        CHECK_OK(bw__npy_read(&values, &dtype, &ndim, found, features));
        assert_true(dtype == BW_NPY_F32 && ndim == 2 && found[0] == b->n && found[1] == dim);
        return values;
    }
    float *values = NULL;
    CHECK_OK(BW_ALLOC(&values, b->n * dim));
    FILE *f = fopen(features, "rb");
    assert_non_null(f);
    got = fread(values, 1, bytes, f);
    assert_true(got == bytes && fgetc(f) == EOF);
    (void)fclose(f);
    return values;
}

/* The largest difference over the largest of b. */
static double difference(const float *a, const float *b, int64_t n)
{
    double most = 0.0, largest = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) most = d; /* a NaN stays */
        largest = fmax(largest, fabs((double)b[i]));
    }
    return most / largest;
}

/* Running statistics and batch norms with values of their own, as after training. */
static void disturb(bw_network *net)
{
    for (int k = 0; k < net->blocks; k++) {
        bw_rng rng = bw__rng(3, BW_RNG_SYNTHETIC, (uint64_t)k, 1, 0);
        for (int i = 0; i < net->params[k].n; i++) {
            const bw_param *p = &net->params[k].items[i];
            float *v = net->params[k].values + p->offset;
            if (p->kind == BW_PARAM_CONV || p->kind == BW_PARAM_LINEAR) continue;
            for (int64_t j = 0; j < p->count; j++) {
                double u = bw__rng_uniform_f64(&rng);
                v[j] = (float)(p->kind == BW_PARAM_BN_WEIGHT || p->kind == BW_PARAM_RUNNING_VAR ? 0.5 + u
                                                                                                : u - 0.5);
            }
        }
    }
}

static void check(const char *settings, int block, bw_feature feature, int64_t n, int64_t size)
{
    char model[4200];
    float *own[BW_MAX_BLOCKS] = { NULL };
    bw_config c = bw_config_default();
    bw_network *net;
    bw_extractor *extractor;
    const char *folder = temp_folder();
    CHECK_OK(bw_config_load(&c, settings, strlen(settings), "test"));
    CHECK_OK(bw_config_set(&c, "threads=2"));
    CHECK_OK(bw_config_resolve(&c));
    CHECK_OK(bw_network_create(&net, &c));
    disturb(net);
    (void)snprintf(model, sizeof model, "%s/model.onnx", folder);
    CHECK_OK(bw_network_export_onnx(net, model, block, feature, NULL));
    batch b = draw(n, size, size);
    int64_t dim = bw_network_feature_dim(net, block, feature);
    CHECK_OK(BW_ALLOC(&own[block], n * dim));
    CHECK_OK(bw_extractor_create(&extractor, net, n, size));
    CHECK_OK(bw_extractor_run(extractor, feature == BW_FEATURE_HEAD ? own : NULL,
                              feature == BW_FEATURE_TRUNK ? own : NULL, b.nhwc, n));
    for (int r = 0; r < RUNTIMES; r++) {
        float *theirs = features_of(r, folder, model, &b, dim);
        if (!theirs) continue;
        compared[r]++;
        double error = difference(theirs, own[block], n * dim);
        if (!(error <= 1e-4)) fail_msg("%s: features differ by %g of the largest", NAMES[r], error);
        worst[r] = error > worst[r] ? error : worst[r];
        bw__free(theirs);
    }
    bw_extractor_free(extractor);
    bw_network_free(net);
    bw__free(own[block]);
    bw__free(b.nhwc);
    bw__free(b.nchw);
}

#define SMALL "projector.widths: [8]\nmodel.width: 16\ntrain.batch: 4\n"

static void trunks_of_both_kinds_of_units_and_stems(void **state)
{
    (void)state;
    check(SMALL "model.arch: resnet50\ndata.image_size: 64\n", 3, BW_FEATURE_TRUNK, 3, 64);
    check(SMALL "model.arch: resnet18\nmodel.stem: cifar\n", 3, BW_FEATURE_TRUNK, 2, 32);
}

static void any_block_with_any_head(void **state)
{
    (void)state;
    check(SMALL "model.arch: resnet18\nmodel.stem: cifar\n", 1, BW_FEATURE_HEAD, 2, 32);
    check(SMALL "model.arch: resnet18\nmodel.stem: cifar\nhead: {filter: 3, stride: 2}\n", 0, BW_FEATURE_HEAD,
          2, 32);
    check(SMALL "model.arch: resnet18\nmodel.stem: cifar\nhead.stride: 2\n", 0, BW_FEATURE_HEAD, 2, 32);
    check(SMALL "model.arch: resnet18\nmodel.stem: cifar\nhead.pool: gsp\n", 2, BW_FEATURE_HEAD, 2, 32);
    /* Cells that share pixels: 28 pixels into a grid that does not divide them. */
    check(SMALL "model.arch: resnet18\nmodel.stem: cifar\nhead.pool: lsp\ndata.image_size: 28\n", 1,
          BW_FEATURE_HEAD, 2, 28);
}

static void other_batches_and_sizes_than_those_of_training(void **state)
{
    (void)state;
    check(SMALL "model.arch: resnet18\nmodel.stem: cifar\n", 2, BW_FEATURE_HEAD, 5, 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trunks_of_both_kinds_of_units_and_stems),
        cmocka_unit_test(any_block_with_any_head),
        cmocka_unit_test(other_batches_and_sizes_than_those_of_training),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int r = 0; r < RUNTIMES; r++)
        printf("%s: %d models compared, differences up to %.1e\n", NAMES[r], compared[r], worst[r]);
    return failed == 0 && compared[0] + compared[1] == 0 ? SKIPPED : failed;
}
