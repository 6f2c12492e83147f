#include "cli/interrupt.h"
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal, save_wanted;

static void on_signal(int number)
{
    if (number == SIGUSR1) {
        save_wanted = 1;
        return;
    }
    if (stop_signal != 0 && number == SIGINT) _exit(128 + SIGINT);
    stop_signal = number;
}

void cli_interrupt_install(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
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
    bool wanted = save_wanted != 0;
    save_wanted = 0;
    return wanted;
}
