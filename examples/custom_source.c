/* Images that lie in no file: a source of one's own, here a painter of discs, squares and stripes.
 *
 *     custom_source RUN STEPS
 *
 * Pretrains on painted images without using their labels, then says how well a linear classifier tells the
 * shapes apart by the features of every block. A database or a simulator would be read in the same way. */
#include <blockwise/blockwise.h>
#include <stdio.h>

enum { SIDE = 32, CLASSES = 3 };

typedef struct painter {
    uint64_t seed; /* another one paints other images */
} painter;

/* Image `index` is always the same one, whichever thread asks for it: its random numbers follow from the seed
 * and the index, and nothing is kept from one image to the next. */
static uint64_t next(uint64_t *state)
{
    uint64_t x = (*state += 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int between(uint64_t *state, int low, int high)
{
    return low + (int)(next(state) % (uint64_t)(high - low + 1));
}

static int label(void *user, int64_t index)
{
    (void)user;
    return (int)(index % CLASSES);
}

/* Called by several loader threads at once. */
static bw_status read_image(void *user, int64_t index, bw_image *image)
{
    const painter *p = (const painter *)user;
    uint64_t state = p->seed + (uint64_t)index * 0x632be59bd9b4e019u;
    const int size = between(&state, 6, 11), cx = between(&state, 10, 21), cy = between(&state, 10, 21);
    uint8_t colour[2][3]; /* of the ground and of the shape */
    for (int i = 0; i < 6; i++)
        colour[i / 3][i % 3] = (uint8_t)between(&state, i < 3 ? 0 : 120, i < 3 ? 110 : 255);

    bw_status status = bw_image_resize(image, SIDE, SIDE); /* makes room at image->rgb */
    if (status != BW_OK) return status;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const int dx = x - cx, dy = y - cy;
            const int in_square = dx * dx <= size * size && dy * dy <= size * size;
            const int in_shape = index % CLASSES == 0   ? dx * dx + dy * dy <= size * size
                                 : index % CLASSES == 1 ? in_square
                                                        : in_square && (dx + dy + 64) / 3 % 2;
            for (int c = 0; c < 3; c++)
                image->rgb[(y * SIDE + x) * 3 + c] = colour[in_shape][c];
        }
    return BW_OK;
}

static bw_status paint(bw_dataset **out, painter *p, int64_t images)
{
    static const char *const names[] = { "disc", "square", "stripes" };
    bw_image_source source = { .name = "painted",
                               .images = images,
                               .classes = CLASSES,
                               .class_names = names,
                               .read = read_image,
                               .label = label,
                               .user = p };
    return bw_dataset_from_source(out, &source);
}

static bw_status pretrain(const bw_dataset *images, const char *run, const char *steps)
{
    static const char *const settings[] = { "model.arch=resnet18", "model.width=8", "model.stem=cifar",
                                            "projector.widths=[64,64,64]", "train.batch=32" };
    char assignment[64];
    bw_config config = bw_config_default();
    bw_status status = BW_OK;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && status == BW_OK; i++)
        status = bw_config_set(&config, settings[i]);
    snprintf(assignment, sizeof assignment, "train.steps=%s", steps);
    if (status == BW_OK) status = bw_config_set(&config, assignment);
    if (status != BW_OK) return status;
    const bw_pretrain_options options = { .config = &config, .out = run, .dataset = images };
    return bw_pretrain(&options);
}

static bw_status probe(const char *run, const bw_dataset *train, const bw_dataset *test)
{
    bw_network *network = NULL;
    bw_probe_result *result = NULL;
    int n = 0;
    const bw_probe_options options = bw_probe_options_default();
    bw_status status = bw_network_load(&network, run);
    if (status == BW_OK) status = bw_probe(&result, &n, network, train, test, &options, NULL, NULL);
    for (int i = 0; i < n; i++)
        printf("block %d, %s: %.1f %% of the test images right\n", result[i].block + 1,
               result[i].feature == BW_FEATURE_HEAD ? "head" : "trunk", result[i].top1);
    bw_free(result);
    bw_network_free(network);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s RUN STEPS\n", argv[0]);
        return 2;
    }
    painter first = { 1 }, second = { 2 };
    bw_dataset *train = NULL, *test = NULL;
    bw_status status = paint(&train, &first, 600);
    if (status == BW_OK) status = paint(&test, &second, 150);
    if (status == BW_OK) status = pretrain(train, argv[1], argv[2]);
    if (status == BW_OK) status = probe(argv[1], train, test);
    bw_dataset_free(train);
    bw_dataset_free(test);
    if (status == BW_OK) return 0;
    fprintf(stderr, "%s: %s\n", bw_status_text(status), bw_last_error());
    return 1;
}
