/* The settings of a run from recipe, file and --set, and the words the command line uses for them. */
#ifndef BW_CLI_SETTINGS_H
#define BW_CLI_SETTINGS_H
#include "cli/cli.h"

/* Default < recipe < file < assignments, not resolved. A `base` file, where given, stands before the
 * recipe; its parallel.* hold where they fit the ranks there are, and its threads with one rank. `config` is
 * left unspecified after a failure. */
BW_MUST_CHECK
bw_status cli_settings_load(bw_config *config, const cli_options *options, const char *base);

/* Which of the places above gave `key`: "--set", "file my.yaml", "recipe cifar10", or NULL. */
const char *cli_settings_origin(char *text, size_t size, const cli_options *options, const char *base,
                                const char *key);

/* The value of `key` as a file of settings has it; borrowed, until the ninth call after this one. */
const char *cli_setting(const bw_config *config, const char *key);

/* For verbs that have no data: where a loss or the online probe needs loss.classes and a resolved config
 * leaves it open, takes 1000 and says so in the log. */
void cli_settings_assume_classes(bw_config *config);

const char *cli_feature_name(bw_feature feature);
#endif
