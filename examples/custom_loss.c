/* A local learning rule of one's own for one block of a network.
 *
 *     custom_loss DATA RUN STEPS
 *
 * Block 2 learns by the rule below, all others by Barlow Twins, and no gradient goes from one to another.
 *
 * The rule is a contrast with a hinge, in the manner of CLAPP (Illing et al. 2021, "Local plasticity rules
 * can learn deep representations using self-supervised contrastive predictions"). Every unit keeps itself
 * at mean 0 and variance 1 over the batch. With what it makes so of the embeddings, x_i and y_i of the two
 * views of image i, and y_j of another image j:
 *
 *     L = 1/N sum_i [ max(0, 1 - x_i . y_i / D) + max(0, 1 + x_i . y_j / D) ]
 *
 * As long as x_i and y_i do not agree enough, they move towards each other; as long as x_i and y_j do, they
 * move apart. dL/dx_i is -y_i/(N D) or 0, plus y_j/(N D) or 0: a product of what the units at hand do, gated
 * by one bit for the image. That makes it Hebbian: nothing is told to a weight but the activity on both its
 * sides and that bit. */
#include <blockwise/blockwise.h>
#include <math.h>
#include <stdio.h>

typedef struct hinge {
    double margin; /* 1 in the formula; any parameters of a rule travel in its `user` */
} hinge;

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* to += factor * a */
static void add(float *to, double factor, const float *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] += (float)(factor * (double)a[i]);
}

/* How far the other image lies from the own one in the batch, 1 to n - 1. It follows from the seed, the step
 * and the block alone, so that a run that was stopped goes on as if it had not been. */
static int64_t distance_to_other(const bw_rule_call *call)
{
    uint64_t x = call->seed ^ ((uint64_t)call->step << 8) ^ (uint64_t)call->block;
    x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
    return call->n > 1 ? 1 + (int64_t)((x >> 33) % (uint64_t)(call->n - 1)) : 0;
}

/* Where things lie in the scratch: sums of each view, then what the units make of z. */
static double *sums_of(const bw_rule_call *call, int view)
{
    return (double *)call->scratch + 2 * view * call->dim;
}

static float *units_of(const bw_rule_call *call)
{
    return (float *)(void *)sums_of(call, 2);
}

static int64_t scratch_bytes(void *user, const bw_rule_call *sizes)
{
    (void)user;
    return 4 * sizes->dim * (int64_t)sizeof(double) + 2 * sizes->n * sizes->dim * (int64_t)sizeof(float);
}

/* Mean 0 and variance 1 of every unit over all images of a view. Its sums become mean and 1 / deviation. */
static bw_status settle_units(bw_rule_call *call, int view)
{
    const int64_t n = call->n, d = call->dim;
    const float *z = call->z + view * n * d;
    float *u = units_of(call) + view * n * d;
    double *mean = sums_of(call, view), *gain = mean + d;
    for (int64_t j = 0; j < d; j++) {
        mean[j] = gain[j] = 0.0;
        for (int64_t i = 0; i < n; i++) {
            mean[j] += (double)z[i * d + j];
            gain[j] += (double)z[i * d + j] * (double)z[i * d + j];
        }
    }
    bw_status status = bw_rule_sum(call, mean, 2 * d); /* over several ranks; alone this does nothing */
    for (int64_t j = 0; j < d; j++) {
        mean[j] /= (double)call->all;
        gain[j] = 1.0 / sqrt(fmax(gain[j] / (double)call->all - mean[j] * mean[j], 0.0) + 1e-5);
        for (int64_t i = 0; i < n; i++)
            u[i * d + j] = (float)(((double)z[i * d + j] - mean[j]) * gain[j]);
    }
    return status;
}

/* One image against one view: `sign` 1 wants agreement, -1 the opposite. Returns the hinge's value. */
static double pull(const hinge *h, const bw_rule_call *call, int sign, int64_t i, int64_t j)
{
    const int64_t d = call->dim, n = call->n;
    const float *x = units_of(call) + i * d, *y = units_of(call) + (n + j) * d;
    const double miss = h->margin - sign * dot(x, y, d) / (double)d;
    const double rate = -sign * call->scale / ((double)call->all * (double)d);
    if (miss <= 0.0) return 0.0; /* the gate is closed */
    add(call->diff_z + i * d, rate, y, d);
    add(call->diff_z + (n + j) * d, rate, x, d);
    return miss;
}

static bw_status run(void *user, bw_rule_call *call)
{
    const hinge *h = (const hinge *)user;
    const int64_t shift = distance_to_other(call), n = call->n, d = call->dim;
    double sums[2] = { 0.0, 0.0 };
    if (h->margin <= 0.0) return bw_error_set(BW_EINVAL, "the margin must be above 0");
    for (int view = 0; view < 2; view++) {
        bw_status status = settle_units(call, view);
        if (status != BW_OK) return status;
    }
    for (int64_t i = 0; i < 2 * n * d; i++)
        call->diff_z[i] = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        sums[0] += pull(h, call, 1, i, i);
        sums[1] += pull(h, call, -1, i, (i + shift) % n);
    }
    /* Back to z, each unit by its own gain. That mean and gain depend on z too is left out, as a neuron
     * would: so this is the gradient of nothing, and a rule all the same. */
    for (int64_t i = 0; i < 2 * n * d; i++)
        call->diff_z[i] *= (float)sums_of(call, i < n * d ? 0 : 1)[d + i % d];
    bw_status status = bw_rule_sum(call, sums, 2);
    call->term[0] = sums[0] / (double)call->all;
    call->term[1] = sums[1] / (double)call->all;
    call->total = call->scale * (call->term[0] + call->term[1]);
    return status;
}

static bw_status make_config(bw_config *config, const char *steps)
{
    static const char *const settings[] = {
        "model.arch=resnet18", "model.width=8", "model.stem=cifar", "data.image_size=32",
        "projector.widths=[64,64]", "train.batch=8",
        /* The same works in a file: blocks[2].loss: {name: custom, ...} */
        "blocks[2].loss={name: custom, rule: hinge}"
    };
    char assignment[64];
    bw_status status = BW_OK;
    *config = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && status == BW_OK; i++)
        status = bw_config_set(config, settings[i]);
    if (status != BW_OK) return status;
    snprintf(assignment, sizeof assignment, "train.steps=%s", steps);
    return bw_config_set(config, assignment);
}

static void print_step(void *user, const bw_step *step)
{
    (void)user;
    printf("step %lld:", (long long)step->step);
    for (int k = 0; k < step->blocks; k++)
        printf(" %.4f", step->loss[k]);
    for (int i = 0; i < step->terms; i++)
        printf(" %s %.4g", step->term_name[i], step->term[i][1]); /* NaN: a term of the others' loss */
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s DATA RUN STEPS\n", argv[0]);
        return 2;
    }
    bw_config config;
    hinge h = { 1.0 };
    const bw_rule rule = { .name = "hinge",
                           .term = { "agree", "disagree" },
                           .run = run,
                           .scratch_bytes = scratch_bytes,
                           .user = &h };
    bw_status status = bw_rule_register(&rule);
    if (status == BW_OK) status = make_config(&config, argv[3]);
    if (status == BW_OK) {
        const bw_pretrain_options options = {
            .config = &config, .data = argv[1], .out = argv[2], .on_step = print_step
        };
        status = bw_pretrain(&options);
    }
    if (status == BW_OK) return 0;
    fprintf(stderr, "%s: %s\n", bw_status_text(status), bw_last_error());
    return 1;
}
