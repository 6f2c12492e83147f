#define _DEFAULT_SOURCE /* sigaltstack */
#include "cli/interrupt.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal, save_wanted;
static volatile sig_atomic_t says; /* on a terminal, what an interrupt does */

static void on_signal(int number)
{
    if (number == SIGUSR1) {
        save_wanted = 1;
        return;
    }
    if (stop_signal != 0 && number == SIGINT) _exit(128 + SIGINT);
    stop_signal = number;
    static const char text[] = "\nending as soon as possible; Ctrl-C once more ends at once\n";
    const int kept = errno;
    if (number == SIGINT && says && write(STDERR_FILENO, text, sizeof text - 1) < 0) says = 0;
    errno = kept;
}

/* oneDNN's AVX2 matrix product points the stack register into a buffer on the heap while it works. A handler
 * on that stack writes in front of the buffer; on a stack of its own it does no harm. */
void cli_interrupt_install(bool aloud)
{
    enum { STACK_BYTES = 1 << 16 }; /* the frame alone is 11 KB with AMX */
    static char memory[STACK_BYTES];
    const stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    says = aloud && isatty(STDERR_FILENO);
    if (sigaltstack(&stack, NULL) == 0) action.sa_flags |= SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

int cli_interrupt_signal(void)
{
    return stop_signal;
}

bool cli_interrupt_take_save(void)
{
    if (save_wanted == 0) return false; /* else one that comes just now would be forgotten */
    save_wanted = 0;
    return true;
}
