#include "train/optimizer.h"
#include "base/memory.h"
#include "nn/loops.h"
#include <math.h>

#define PIECE  16384
#define PIECES 256 /* pieces whose sums are kept at once */

static double norm_axpy(const float *a, const float *b, float factor, int64_t n, int threads)
{
    double total = 0.0, part[PIECES];
    for (int64_t start = 0; start < n; start += (int64_t)PIECES * PIECE) {
        int64_t pieces = (n - start + PIECE - 1) / PIECE;
        if (pieces > PIECES) pieces = PIECES;
#pragma omp parallel for schedule(static) num_threads(threads) if (pieces > 4)
        for (int64_t i = 0; i < pieces; i++) {
            int64_t at = start + i * PIECE, count = n - at < PIECE ? n - at : PIECE;
            part[i] = bw__loops()->square_sum(a + at, b ? b + at : NULL, factor, count);
        }
        for (int64_t i = 0; i < pieces; i++)
            total += part[i];
    }
    return sqrt(total);
}

double bw__norm(const float *v, int64_t n, int threads)
{
    return norm_axpy(v, NULL, 0.0f, n, threads);
}

static bw_sgd_rule tensor_rule(const bw_param *p, const float *w, const float *g, double lr,
                               const bw_optimizer_config *c, int threads)
{
    bw_sgd_rule r = {
        .trust = 1.0f, .decay = (float)c->weight_decay, .momentum = (float)c->momentum, .lr = (float)lr
    };
    if (c->name == BW_OPTIMIZER_SGD) return r;
    if (p->ndim == 1) {
        r.decay = 0.0f;
        return r;
    }
    double w_norm = bw__norm(w, p->count, threads), g_norm = norm_axpy(g, w, r.decay, p->count, threads);
    if (!(w_norm > 0.0 && g_norm > 0.0)) return r;
    double trust = c->eta * w_norm / g_norm;
    if (c->clip_lr) trust = trust < lr ? trust / lr : 1.0;
    r.trust = (float)trust;
    return r;
}

static bw_adamw_rule adamw_rule(double lr, int64_t step, const bw_optimizer_config *c)
{
    double t = (double)step;
    return (bw_adamw_rule){ .keep = (float)(1.0 - lr * c->weight_decay),
                            .beta1 = (float)c->momentum,
                            .rest1 = (float)(1.0 - c->momentum),
                            .beta2 = (float)c->beta2,
                            .rest2 = (float)(1.0 - c->beta2),
                            .step = (float)(lr / (1.0 - pow(c->momentum, t))),
                            .root = (float)(1.0 / sqrt(1.0 - pow(c->beta2, t))),
                            .eps = (float)c->eps };
}

void bw__optimizer_update(bw_params *params, const float *grads, double lr, int64_t step,
                          const bw_optimizer_config *config, int threads)
{
    bw__optimizer_update_parts(params, grads, lr, NULL, step, config, threads);
}

static void update_momentum(float *w, float *m, const float *g, const bw_sgd_rule *r, int64_t n, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads) if (n > 4 * PIECE)
    for (int64_t at = 0; at < n; at += PIECE)
        bw__loops()->sgd(w + at, m + at, g + at, r, n - at < PIECE ? n - at : PIECE);
}

static void update_adamw(float *w, float *m, float *v, const float *g, const bw_adamw_rule *r, int64_t n,
                         int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads) if (n > 4 * PIECE)
    for (int64_t at = 0; at < n; at += PIECE)
        bw__loops()->adamw(w + at, m + at, v + at, g + at, r, n - at < PIECE ? n - at : PIECE);
}

void bw__optimizer_update_parts(bw_params *params, const float *grads, double lr, const double *rate,
                                int64_t step, const bw_optimizer_config *config, int threads)
{
    for (int i = 0; i < params->n; i++) {
        const bw_param *p = &params->items[i];
        if (!bw__param_is_trained(p)) continue;
        float *w = params->values + p->offset, *m = params->momenta + p->offset;
        const float *g = grads + p->offset;
        const double own_lr = rate ? lr * rate[p->part] : lr;
        if (config->name == BW_OPTIMIZER_ADAMW) {
            bw_adamw_rule r = adamw_rule(own_lr, step, config);
            update_adamw(w, m, params->squares + p->offset, g, &r, p->count, threads);
        } else {
            bw_sgd_rule r = tensor_rule(p, w, g, own_lr, config, threads);
            update_momentum(w, m, g, &r, p->count, threads);
        }
    }
}
