#include "dist/comm_progress.h"
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

/* A socket's buffer is emptied often enough for 10 Gbit/s, and a core loses about 1 % while a sum goes on. */
static const struct timespec NAP = { .tv_nsec = 200000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static bool runs, ends, unwanted;
static bw_progress *items;

/* One round, under the lock; whether anything is left. */
static bool ask_all(void)
{
    bool left = false;
    for (bw_progress *i = items; i; i = i->next) {
        if (!i->done) i->done = i->ask(i);
        left = left || !i->done;
    }
    return left;
}

static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    while (!ends) {
        if (!ask_all()) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        pthread_mutex_unlock(&lock);
        (void)nanosleep(&NAP, NULL);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Signals are the main thread's. */
static void start(void)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    runs = pthread_create(&thread, NULL, work, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void bw__progress_add(bw_progress *item)
{
    pthread_mutex_lock(&lock);
    if (!unwanted) {
        if (!runs) start();
        item->done = false;
        item->next = items;
        items = item;
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
}

void bw__progress_remove(bw_progress *item)
{
    pthread_mutex_lock(&lock);
    for (bw_progress **at = &items; *at; at = &(*at)->next)
        if (*at == item) {
            *at = item->next;
            break;
        }
    pthread_mutex_unlock(&lock);
}

void bw__progress_end(void)
{
    pthread_mutex_lock(&lock);
    bool ran = runs;
    ends = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    if (ran) (void)pthread_join(thread, NULL);
    ends = runs = false;
}

void bw__progress_use(bool wanted)
{
    pthread_mutex_lock(&lock);
    unwanted = !wanted;
    pthread_mutex_unlock(&lock);
}
