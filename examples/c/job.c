/* A job that takes its settings from keyfs: see ../README.md. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST = 4096 };

struct value {
    char bytes[LONGEST + 1];
    size_t length;
};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
    char *made;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&made, format, arguments) < 0)
        fail("no memory");
    va_end(arguments);
    return made;
}

static int has_tree(const char *directory, const char *tree)
{
    struct stat status;
    char *path = text("%s/%s", directory, tree);
    int found = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    free(path);
    return found;
}

/* The directory with the two trees, which a mount of one environment has at its root. */
static char *keys_directory(void)
{
    const char *mount = getenv("KEYFS_MOUNT"), *environment = getenv("KEYFS_ENV");
    if (!mount)
        mount = "/keys";
    if (has_tree(mount, "variables") && has_tree(mount, "secrets"))
        return text("%s", mount);
    char *directory = text("%s/%s", mount, environment ? environment : "dev");
    if (!has_tree(directory, "variables"))
        fail("there are no keys in %s: is keyfs mounted, and are KEYFS_MOUNT and KEYFS_ENV right?", directory);
    return directory;
}

/* Reads a whole file; -1 with errno where that can't be. */
static int read_whole(const char *path, struct value *value)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t got;
    value->length = 0;
    while ((got = read(file, value->bytes + value->length, LONGEST - value->length)) > 0)
        value->length += got;
    int why = got < 0 ? errno : value->length == LONGEST ? EFBIG : 0;
    close(file);
    errno = why;
    return why ? -1 : 0;
}

/* A key's value, less one trailing newline; where there is none, the default, if there is one. */
static void get(const char *keys, const char *tree, const char *key, const char *otherwise, struct value *value)
{
    char *path = text("%s/%s/%s", keys, tree, key);
    if (read_whole(path, value) == 0) {
        if (value->length > 0 && value->bytes[value->length - 1] == '\n')
            value->length--;
    } else if (errno == ENOENT && otherwise) {
        value->length = strlen(otherwise);
        memcpy(value->bytes, otherwise, value->length);
    } else if (errno == ENOENT) {
        fail("%s is missing: write it to %s", key, path);
    } else if (errno == EACCES) {
        fail("%s is not for this process; to see why: getfattr -n system.keyfs.why --only-values --absolute-names %s",
             key, path);
    } else {
        fail("%s can't be read from %s: %s", key, path, strerror(errno));
    }
    value->bytes[value->length] = '\0';
    free(path);
}

/* Stores a variable. It is stored when the file is closed, so an error may show as late as that. */
static void put(const char *keys, const char *directory, const char *name, const char *value)
{
    char *place = text("%s/variables/%s", keys, directory), *path = text("%s/%s", place, name);
    if (mkdir(place, 0777) != 0 && errno != EEXIST)
        fail("%s/%s can't be written to %s: %s", directory, name, path, strerror(errno));
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t length = strlen(value);
    if (file < 0 || write(file, value, length) != length || close(file) != 0)
        fail("%s/%s can't be written to %s: %s", directory, name, path, strerror(errno));
    free(path);
    free(place);
}

int main(void)
{
    char *keys = keys_directory();
    struct value host, password, last_run;
    get(keys, "variables", "db/host", "localhost", &host);
    get(keys, "secrets", "db/password", NULL, &password);
    get(keys, "variables", "jobs/last_run", "never", &last_run);
    printf("host: %s\npassword: %zu bytes\nlast run: %s\n", host.bytes, password.length, last_run.bytes);
    explicit_bzero(&password, sizeof password);

    char *now = text("%lld\n", (long long)time(NULL));
    put(keys, "jobs", "last_run", now);
    free(now);
    free(keys);
    return 0;
}
