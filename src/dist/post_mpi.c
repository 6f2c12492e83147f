#include "base/memory.h"
#include "dist/comm_internal.h"
#include "dist/post.h"
#include <mpi.h>

struct bw_post {
    bw_comm *comm;
    int rank, tag;
    MPI_Request request;
};

static MPI_Comm mpi_of(const bw_post *post)
{
    return *(const MPI_Comm *)post->comm->mpi;
}

static bw_status checked(const bw_post *post, int error, const char *operation)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (error == MPI_SUCCESS) return BW_OK;
    (void)MPI_Error_string(error, text, &length);
    return bw_fail(BW_EREMOTE, "rank %d: %s of a message with rank %d: %s", post->comm->rank, operation,
                   post->rank, text);
}

bw_status bw__post_create(bw_post **out, bw_comm *comm, int rank, int tag)
{
    bw_status st = BW_ALLOC(out, 1);
    if (st == BW_OK) **out = (bw_post){ .comm = comm, .rank = rank, .tag = tag, .request = MPI_REQUEST_NULL };
    return st;
}

void bw__post_free(bw_post *post)
{
    bw__free(post);
}

bw_status bw__post_send(bw_post *post, const void *bytes, size_t n)
{
    BW_ASSERT(n <= BW_POST_MOST);
    return checked(post,
                   MPI_Isend(bytes, (int)n, MPI_BYTE, post->rank, post->tag, mpi_of(post), &post->request),
                   "MPI_Isend");
}

bw_status bw__post_receive(bw_post *post, void *bytes, size_t n)
{
    BW_ASSERT(n <= BW_POST_MOST);
    return checked(post,
                   MPI_Irecv(bytes, (int)n, MPI_BYTE, post->rank, post->tag, mpi_of(post), &post->request),
                   "MPI_Irecv");
}

bw_status bw__post_test(bw_post *post, bool *done)
{
    int is_done = 0;
    int error = MPI_Test(&post->request, &is_done, MPI_STATUS_IGNORE);
    *done = is_done != 0;
    return checked(post, error, "MPI_Test");
}

bw_status bw__post_look(bw_post *post, int64_t *bytes)
{
    MPI_Status status;
    int there = 0, n = 0;
    int error = MPI_Iprobe(post->rank, post->tag, mpi_of(post), &there, &status);
    if (error == MPI_SUCCESS && there) error = MPI_Get_count(&status, MPI_BYTE, &n);
    *bytes = there ? n : -1;
    return checked(post, error, "MPI_Iprobe");
}
