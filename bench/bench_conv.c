/* Times every pass of the convolutions of a network both as oneDNN's convolution and as matrix products over
 * tiles, which is how the choice in src/nn/conv.c was made.
 *
 *     cmake --build build --target bench_conv && build/bench_conv [resnet18|resnet50] [IMAGES] [THREADS]
 */
#include "base/clock.h"
#include "base/memory.h"
#include "nn/conv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 4, PASSES = 3, MAX_SHAPES = 32 };

/* Side, channels in and out, kernel, stride, pad; IMAGES is both views of a batch. */
static const int RESNET50[MAX_SHAPES][6] = {
    { 224, 3, 64, 7, 2, 3 },    { 56, 64, 64, 1, 1, 0 },     { 56, 256, 64, 1, 1, 0 },
    { 56, 64, 64, 3, 1, 1 },    { 56, 64, 256, 1, 1, 0 },    { 56, 256, 128, 1, 1, 0 },
    { 56, 128, 128, 3, 2, 1 },  { 56, 256, 512, 1, 2, 0 },   { 28, 512, 128, 1, 1, 0 },
    { 28, 128, 128, 3, 1, 1 },  { 28, 128, 512, 1, 1, 0 },   { 28, 512, 256, 1, 1, 0 },
    { 28, 256, 256, 3, 2, 1 },  { 28, 512, 1024, 1, 2, 0 },  { 14, 1024, 256, 1, 1, 0 },
    { 14, 256, 256, 3, 1, 1 },  { 14, 256, 1024, 1, 1, 0 },  { 14, 1024, 512, 1, 1, 0 },
    { 14, 512, 512, 3, 2, 1 },  { 14, 1024, 2048, 1, 2, 0 }, { 7, 2048, 512, 1, 1, 0 },
    { 7, 512, 512, 3, 1, 1 },   { 7, 512, 2048, 1, 1, 0 },   { 14, 1024, 2048, 1, 1, 0 },
    { 7, 2048, 2048, 1, 1, 0 },
};
static const int RESNET18[MAX_SHAPES][6] = {
    { 32, 3, 64, 3, 1, 1 },    { 32, 64, 64, 3, 1, 1 },   { 32, 64, 128, 3, 2, 1 },  { 32, 64, 128, 1, 2, 0 },
    { 16, 128, 128, 3, 1, 1 }, { 16, 128, 256, 3, 2, 1 }, { 16, 128, 256, 1, 2, 0 }, { 8, 256, 256, 3, 1, 1 },
    { 8, 256, 512, 3, 2, 1 },  { 8, 256, 512, 1, 2, 0 },  { 4, 512, 512, 3, 1, 1 },
};

static float *values(int64_t n)
{
    float *p = NULL;
    if (BW_ALLOC(&p, n) != BW_OK) exit(1);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)(i * 7919 % 2001) / 1000.0f - 1.0f;
    return p;
}

/* Best GFLOP/s of each pass. */
static void time_passes(double *gflops, const bw_conv_shape *s, unsigned as_products, int threads)
{
    int64_t oh = bw__conv_out(s->h, s->kernel, s->stride, s->pad);
    bw_exec x;
    bw_conv *conv = NULL;
    if (bw__exec_create(&x, threads) != BW_OK || bw__arena_create(&x.arena, (size_t)2 << 30) != BW_OK ||
        bw__conv_create_as(&conv, &x, s, 7, as_products) != BW_OK) {
        fprintf(stderr, "%s\n", bw_last_error());
        exit(1);
    }
    float *src = values(s->n * s->h * s->w * s->ic), *dst = values(s->n * oh * oh * s->oc);
    float *weights = values(s->oc * s->ic * s->kernel * s->kernel);
    memset(gflops, 0, PASSES * sizeof *gflops);
    for (int r = 0; r < REPEATS; r++)
        for (int pass = 0; pass < PASSES; pass++) {
            double start = bw__now_s();
            bw_status st = pass == 0   ? bw__conv_forward(conv, &x, dst, src, weights)
                           : pass == 1 ? bw__conv_backward_data(conv, &x, src, dst, weights)
                                       : bw__conv_backward_weights(conv, &x, weights, src, dst);
            double rate = (double)bw__conv_flops(conv) / (bw__now_s() - start) * 1e-9;
            if (st != BW_OK) exit(1);
            if (rate > gflops[pass]) gflops[pass] = rate;
        }
    bw__conv_free(conv);
    bw__exec_destroy(&x);
    bw__free(src);
    bw__free(dst);
    bw__free(weights);
}

int main(int argc, char **argv)
{
    bool small = argc > 1 && strcmp(argv[1], "resnet18") == 0;
    int images = argc > 2 ? atoi(argv[2]) : small ? 256 : 32, threads = argc > 3 ? atoi(argv[3]) : 2;
    printf("%d images, %d threads, GFLOP/s (oneDNN, products; * is used)\n", images, threads);
    for (const int *l = small ? RESNET18[0] : RESNET50[0]; l[0]; l += 6) {
        bw_conv_shape s = { .n = images,
                            .h = l[0],
                            .w = l[0],
                            .ic = l[1],
                            .oc = l[2],
                            .kernel = l[3],
                            .stride = l[4],
                            .pad = l[5] };
        double library[PASSES], products[PASSES];
        unsigned chosen = bw__conv_passes_as_products(&s);
        time_passes(library, &s, 0, threads);
        time_passes(products, &s, s.stride == 1 ? 7 : 7 & ~(unsigned)BW_PASS_BACKWARD_DATA, threads);
        printf("%3d px %4d -> %4d %dx%d/%d", l[0], l[1], l[2], l[3], l[3], l[4]);
        for (int pass = 0; pass < PASSES; pass++)
            printf("  %s %4.0f%s %4.0f%s",
                   pass == 0   ? "forward"
                   : pass == 1 ? "data"
                               : "weights",
                   library[pass], chosen >> pass & 1 ? " " : "*", products[pass],
                   chosen >> pass & 1 ? "*" : " ");
        printf("\n");
    }
    return 0;
}
