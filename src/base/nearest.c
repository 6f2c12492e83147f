#include "base/nearest.h"
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST = 127, PATH_ROOM = 4096 };

int bw__word_distance(const char *a, const char *b)
{
    size_t m = strnlen(a, LONGEST), n = strnlen(b, LONGEST);
    int rows[3][LONGEST + 1]; /* [i % 3]: of the first i letters of a and j of b */
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        const int *above = rows[(i - 1) % 3], *second = rows[(i + 1) % 3];
        int *row = rows[i % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (above[j] + 1 < best) best = above[j] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && second[j - 2] + 1 < best) best = second[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[m % 3][n];
}

/* The beginning of a word is near. */
static int distance_to(const char *word, const char *entry)
{
    return word[0] && strncmp(word, entry, strlen(word)) == 0 ? 0 : bw__word_distance(word, entry);
}

/* One mistake in a word of two to four letters, two in one of five to seven: beyond that a hint would be a
 * guess. */
static bool is_near(int distance, const char *word)
{
    return 3 * distance <= (int)strlen(word) + 1;
}

const char *bw__nearest(const char *word, const char *const *words, int n)
{
    const char *nearest = NULL;
    int least = INT_MAX;
    for (int i = 0; i < n; i++) {
        int d = distance_to(word, words[i]);
        if (d >= least) continue;
        nearest = words[i];
        least = d;
    }
    return nearest && is_near(least, word) ? nearest : NULL;
}

/* --- paths --- */

/* The name in `folder` that is nearest to `word`; "" where none is near. */
static void nearest_in_folder(char nearest[NAME_MAX + 1], const char *folder, const char *word)
{
    int least = INT_MAX;
    DIR *dir = opendir(folder);
    nearest[0] = '\0';
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' && word[0] != '.') continue;
        int d = distance_to(word, entry->d_name);
        if (d > least || (d == least && strcmp(entry->d_name, nearest) > 0) || !is_near(d, word)) continue;
        least = d;
        (void)snprintf(nearest, NAME_MAX + 1, "%s", entry->d_name);
    }
    (void)closedir(dir);
}

/* Cuts `path` behind its first part that does not exist; true where there is more behind that. */
static bool cut_at_missing(char *path)
{
    struct stat info;
    for (char *p = path + strspn(path, "/"); *p; p += strspn(p, "/")) {
        p += strcspn(p, "/");
        char *rest = p + strspn(p, "/"), kept = *p;
        *p = '\0';
        if (stat(path, &info) != 0) return *rest != '\0';
        *p = kept;
    }
    return false;
}

void bw__missing_hint(char *text, size_t size, const char *path)
{
    char part[PATH_ROOM], folder[PATH_ROOM], near[NAME_MAX + 1];
    text[0] = '\0';
    if (size == 0 || snprintf(part, sizeof part, "%s", path) >= PATH_ROOM || path[0] == '\0') return;
    bool inside = cut_at_missing(part);
    char *slash = strrchr(part, '/');
    const char *name = slash ? slash + 1 : part;
    if (!slash && !getcwd(folder, sizeof folder)) return;
    if (slash) (void)snprintf(folder, sizeof folder, "%.*s", slash == part ? 1 : (int)(slash - part), part);
    nearest_in_folder(near, folder, name);
    if (inside) (void)snprintf(text, size, "; there is no %s", part);
    if (!inside && !slash) (void)snprintf(text, size, " in %s", folder);
    size_t used = strlen(text);
    if (near[0] && used < size)
        (void)snprintf(text + used, size - used, "; did you mean '%.*s%s'?",
                       slash ? (int)(slash - part) + 1 : 0, part, near);
}
