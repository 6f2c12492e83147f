/* Inside of bw_trainer, for checkpoints and tests. What defines the state of a run is in the network (values,
 * momenta, running statistics) and in the config (seed): random numbers have no state. */
#ifndef BW_TRAIN_TRAINER_INTERNAL_H
#define BW_TRAIN_TRAINER_INTERNAL_H
#include "blockwise/trainer.h"
#include "loss/loss.h"
#include "model/block.h"
#include "train/grid.h"
#include "train/online_probe.h"
#include "train/order.h"
#include "train/schedule.h"

typedef struct bw_trained_block bw_trained_block;
typedef struct bw_relay bw_relay; /* relay.h */

/* Mistakes of training on ranks, made on purpose so that tests and the self-test can show that they see
 * them. */
typedef enum bw_rank_mistake {
    BW_RANKS_RIGHT,
    BW_RANKS_AVERAGE_GRADIENTS, /* the mean over ranks instead of the sum */
    BW_RANKS_LOCAL_STATISTICS   /* batch norm, noise over each rank's own images; losses over all */
} bw_rank_mistake;

struct bw_trainer {
    bw_network *network; /* borrowed */
    const bw_grid *grid; /* borrowed */
    bw_comm *outline;    /* of a trainer that only counts: as if the ranks that share a batch were there */
    int64_t batch;       /* images of a batch on this rank, of one view */
    bw_exec exec;
    int64_t steps_per_epoch, steps_done;
    bw_phases phases;
    const bw_phase *phase;  /* of the running step; and: */
    int64_t part;           /* of train.split */
    bool looking;           /* forward passes are for the embeddings alone: running statistics stay */
    size_t floor;           /* low end of the arena: what lies there for the whole batch */
    const int *labels;      /* of the running step, or NULL */
    int note;               /* goes with a step from row to row: the caller's in the first row, there after a
                               step in the others */
    bw_online_probe *probe; /* NULL without probe.every */
    float *grads; /* one buffer, as large as the trained parameters of the largest block that learns */
    bw_comm_work summing, summing_head; /* of `grads` over ranks: trunk and the rest, or all; and: */
    double head_done_s;                 /* when the running backward pass reached the trunk */
    int summed;  /* the block they are of, which is updated when that is done; -1: none */
    float *sums; /* with train.split: sums over parts, of all blocks that learn at once; else NULL */
    struct bw_trained_block {
        bw_block block;
        bw_loss *loss;
        bw_schedule schedule; /* over the phase in which the block learns */
        bw_optimizer_config optimizer;
        /* Of the running step: */
        bw_side side;
        const void *in;
        void *out;
        float *z, *diff_z;
        float *grads;         /* of the update to come */
        float *batch_z, *sum; /* with train.split: embeddings, then their gradient; sum of gradients */
        size_t saved_bytes,
            arena_bytes; /* kept between forward and backward; the arena's most of any phase */
        double seconds;  /* that its turn in the running step, or part of it, took */
        bw_trainer *trainer;
        int index;
    } blocks[BW_MAX_BLOCKS];
    const double *part_rate; /* factors on the learning rate by bw_part, borrowed; NULL: all 1 */
    /* This rank's blocks: first .. created - 1, of those that are ever run; only those that ever learn have
     * head, projector and loss. Others have schedule and optimizer. */
    int first, created;
    bool relays_input; /* the input of the first own block comes from the row before; else it is the views, or
                          for tests and measures in their place what that block gets, f32 */
    bw_relay *relay;   /* NULL with one row */
    bw_status failed;  /* of the last step, or of the run that ends between steps */
    /* Hooks of tests; all NULL or false in use. */
    bool all_forwards_first; /* the authors' order: nothing is released before the last block's forward */
    void (*on_grads)(void *user, int block, const float *grads); /* before each update */
    void (*on_forward)(void *user, int block); /* after each forward; tensors in blocks[block] */
    void *user;
    bool no_update;
    bool no_overlap;       /* a sum of gradients is waited for where it begins */
    bw_rank_mistake wrong; /* that a test of ranks must find */
};

/* bw_trainer_create() for one rank of a grid, borrowed, on views [2, bw__grid_images(), S, S, 3] of its own
 * (as bw__loader_create() deals them) at every step. Collective in creation and in each step. */
BW_MUST_CHECK
bw_status bw__trainer_create_on(bw_trainer **out, bw_network *network, int64_t steps_per_epoch,
                                const bw_grid *grid);
/* A trainer of an outline: no weights, no memory for activations, and it cannot step. It has done the dry
 * step that sizes the arena of a real one: exec.arena.peak, and the bytes of each block. `grid`: borrowed,
 * says of how many ranks it is one; it needs no communicators. */
BW_MUST_CHECK
bw_status bw__trainer_outline(bw_trainer **out, bw_network *outline, const bw_grid *grid);

/* Elements of the input of the first own block, of a part of the batch. */
int64_t bw__trainer_input_count(const bw_trainer *trainer);
/* Floating point operations of block k, which must be an own one, in a step in which it learns, or is frozen.
 */
int64_t bw__trainer_block_flops(const bw_trainer *trainer, int k, bool learns);
/* Bytes of gradients, and floating point operations that a step does again; of the average step, as
 * bw_trainer_flops(). */
int64_t bw__trainer_gradient_bytes(const bw_trainer *trainer);
int64_t bw__trainer_repeated_flops(const bw_trainer *trainer);

/* Continue as if `steps` steps had been done. */
void bw__trainer_set_steps_done(bw_trainer *trainer, int64_t steps);
/* Steps from now on add their times to `profile`, borrowed; NULL: no longer. */
void bw__trainer_set_profile(bw_trainer *trainer, bw_profile *profile);
#endif
