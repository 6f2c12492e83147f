/* Pretraining from a program, watched and steered through callbacks.
 *
 *     pretrain_with_callbacks DATA RUN STEPS [SECONDS]
 *
 * DATA is anything bw_dataset_open() reads (a folder of pictures will do), RUN the run folder. After SECONDS
 * the run is saved and stopped; the same command then goes on from there, to the same weights as a run that
 * was never stopped. */
#include <blockwise/blockwise.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct watch {
    int64_t total;
    time_t stop_at; /* 0: never */
    double best;    /* lowest loss of the last block so far */
} watch;

/* What the library has to say. It never prints anything itself. */
static void print_line(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level != BW_LOG_DEBUG) fprintf(stderr, "%s%s\n", level == BW_LOG_WARN ? "warning: " : "", line);
}

static void begin(void *user, int64_t total_steps, int64_t first_step, int64_t images)
{
    watch *w = (watch *)user;
    w->total = total_steps;
    printf("%lld images, steps %lld to %lld\n", (long long)images, (long long)first_step + 1,
           (long long)total_steps);
}

/* After every step; all that stands in metrics.jsonl is in `step`. */
static void see_step(void *user, const bw_step *step)
{
    watch *w = (watch *)user;
    const double last = step->loss[step->blocks - 1];
    if (step->step == 1 || last < w->best) w->best = last;
    printf("step %lld of %lld: loss", (long long)step->step, (long long)w->total);
    for (int k = 0; k < step->blocks; k++)
        printf(" %.4f", step->loss[k]);
    for (int i = 0; i < step->terms; i++)
        printf(", %s %.4g", step->term_name[i], step->term[i][step->blocks - 1]);
    printf(", %.1f images/s\n", step->samples_per_s);
}

/* Asked after every step: go on, save and go on, or save and stop. */
static bw_request decide(void *user)
{
    const watch *w = (const watch *)user;
    return w->stop_at != 0 && time(NULL) >= w->stop_at ? BW_SAVE_AND_STOP : BW_GO_ON;
}

/* A small network for small pictures. Any key of `blockwise list config` can be set by its dotted name. */
static bw_status make_config(bw_config *config, const char *steps)
{
    static const char *const settings[] = {
        "model.arch=resnet18",         "model.width=8", "model.stem=cifar", "data.image_size=32",
        "projector.widths=[64,64,64]", "train.batch=8"
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

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: %s DATA RUN STEPS [SECONDS]\n", argv[0]);
        return 2;
    }
    bw_config config;
    watch w = { 0, 0, 0.0 };
    if (argc == 5) w.stop_at = time(NULL) + atoi(argv[4]);
    bw_set_log(print_line, NULL);

    bw_status status = make_config(&config, argv[3]);
    if (status == BW_OK) {
        bw_pretrain_options options = { .config = &config,
                                        .data = argv[1],
                                        .out = argv[2],
                                        .resume = true, /* also where there is nothing yet to go on from */
                                        .user = &w,
                                        .on_start = begin,
                                        .on_step = see_step,
                                        .request = decide };
        status = bw_pretrain(&options);
    }
    if (status == BW_EINTERRUPTED) {
        printf("%s\n", bw_last_error());
        return 0;
    }
    if (status != BW_OK) {
        fprintf(stderr, "%s: %s\n", bw_status_text(status), bw_last_error());
        return 1;
    }
    printf("done, lowest loss of the last block %.4f, weights in %s/model.safetensors\n", w.best, argv[2]);
    return 0;
}
