#include "report/verdict_json.h"
#include <math.h>

bool bw__verdict_has_probe(const bw_verdict *v)
{
    bool has = false;
    for (int k = 0; k < v->blocks; k++)
        has = has || !isnan(v->block[k].probe_top1);
    return has;
}

json_t *bw__verdict_json(const bw_verdict *v)
{
    json_t *array = json_array();
    for (int k = 0; k < v->blocks; k++) {
        const bw_block_verdict *b = &v->block[k];
        json_t *object = json_object();
        (void)json_object_set_new(object, "block", json_integer(k + 1));
        (void)json_object_set_new(object, "verdict", json_string(bw_verdict_text(b->word)));
        (void)json_object_set_new(object, "reason", bw__json_text(b->reason));
        (void)json_object_set_new(object, "advice", bw__json_text(b->advice));
        (void)json_object_set_new(object, "steps", json_integer(b->steps));
        (void)json_object_set_new(object, "loss", bw__json_reals(b->loss, 2));
        for (int i = 0; i < v->terms; i++)
            (void)json_object_set_new(object, v->term_name[i], bw__json_real(b->term[i]));
        (void)json_object_set_new(object, "embedding_std", bw__json_reals(b->embedding_std, 2));
        (void)json_object_set_new(object, "effective_rank", bw__json_reals(b->effective_rank, 2));
        (void)json_object_set_new(object, "effective_rank_max", bw__json_real(b->effective_rank_max));
        (void)json_object_set_new(object, "dead_channels", bw__json_reals(b->dead_channels, 2));
        (void)json_object_set_new(object, "grad_norm", bw__json_real(b->grad_norm));
        if (bw__verdict_has_probe(v))
            (void)json_object_set_new(object, "probe_top1", bw__json_real(b->probe_top1));
        (void)json_array_append_new(array, object);
    }
    return array;
}
