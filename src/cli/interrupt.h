/* Signals as flags that the verbs ask between two pieces of work. */
#ifndef BW_CLI_INTERRUPT_H
#define BW_CLI_INTERRUPT_H
#include <stdbool.h>

/* SIGINT and SIGTERM ask to stop, a second SIGINT ends the process at once; SIGUSR1 asks to save.
 * aloud: a SIGINT is answered on a terminal at once, since a step can take minutes. */
void cli_interrupt_install(bool aloud);
/* The signal that asked to stop, or 0. */
int cli_interrupt_signal(void);
/* Whether a save was asked for since the last call. */
bool cli_interrupt_take_save(void);
#endif
