/* A weight file loads in torchvision's own class with strict=True, and gives the same features there. Skipped
 * where /usr/bin/python3 has no torchvision. */
#include "parity.h"
#include "formats/npy.h"
#include "model/network_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"

enum { N = 3, SKIPPED = 77 };

/* Exit status of PYTHON with up to four arguments; the first NULL ends them. */
static int run_python(const char *const a[4])
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execl(PYTHON, PYTHON, a[0], a[1], a[2], a[3], (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Writes weights, images and the last block's trunk features to files, and lets torchvision compare them. */
static void check_arch(bw_arch arch, bw_stem stem, int64_t size)
{
    char model[4200], images_npy[4200], features_npy[4200], script[4200];
    bw_config config = bw_config_default();
    bw_network *network;
    bw_extractor *extractor;
    const char *folder = temp_folder(), *source = getenv("BW_SOURCE");

    assert_non_null(source);
    (void)snprintf(script, sizeof script, "%s/examples/python/load_in_torchvision.py", source);
    (void)snprintf(model, sizeof model, "%s/model.safetensors", folder);
    (void)snprintf(images_npy, sizeof images_npy, "%s/images.npy", folder);
    (void)snprintf(features_npy, sizeof features_npy, "%s/features.npy", folder);
    config.model.arch = arch;
    config.model.stem = stem;
    config.data.image_size = size;
    config.projector.n = 1;
    config.projector.widths[0] = 8;
    config.threads = 2;
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw_network_create(&network, &config));
    for (int k = 0; k < network->blocks; k++)
        parity_fill(&network->params[k]); /* running statistics that are not 0 and 1 */
    int last = network->blocks - 1;
    int64_t wide = bw_network_feature_dim(network, last, BW_FEATURE_TRUNK), count = N * size * size * 3;
    float *images = malloc(sizeof *images * (size_t)count),
          *features = malloc(sizeof *features * (size_t)(N * wide));
    float *trunk[BW_MAX_BLOCKS] = { 0 };
    assert_true(images && features);
    parity_formula(images, count, "view1", 0.0, 1.0);
    trunk[last] = features;

    CHECK_OK(bw_extractor_create(&extractor, network, N, size));
    CHECK_OK(bw_extractor_run(extractor, NULL, trunk, images, N));
    CHECK_OK(bw_network_save(network, model, NULL));
    CHECK_OK(bw__npy_write(images_npy, BW_NPY_F32, images, 4, (int64_t[]){ N, size, size, 3 }));
    CHECK_OK(bw__npy_write(features_npy, BW_NPY_F32, features, 2, (int64_t[]){ N, wide }));
    const char *const arguments[4] = { script, model, images_npy, features_npy };
    assert_int_equal(run_python(arguments), 0);

    (void)remove(model);
    (void)remove(images_npy);
    (void)remove(features_npy);
    (void)rmdir(folder);
    bw_extractor_free(extractor);
    bw_network_free(network);
    free(images);
    free(features);
}

static void resnet18_with_cifar_stem_loads_in_torchvision(void **state)
{
    (void)state;
    check_arch(BW_ARCH_RESNET18, BW_STEM_CIFAR, 24);
}

static void resnet50_loads_in_torchvision(void **state)
{
    (void)state;
    check_arch(BW_ARCH_RESNET50, BW_STEM_IMAGENET, 72);
}

int main(void)
{
    const char *const arguments[4] = { "-c", "import torch, torchvision, numpy" };
    if (access(PYTHON, X_OK) != 0 || run_python(arguments) != 0) {
        print_message("%s has no torchvision: skipped\n", PYTHON);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet18_with_cifar_stem_loads_in_torchvision),
        cmocka_unit_test(resnet50_loads_in_torchvision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
