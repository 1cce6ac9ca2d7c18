/*
 * A service that says when it is ready and answers when it is asked whether it lives.
 *
 * Run by `service up` or as a [program:x] with heartbeat_period=, it speaks the protocol of
 * docs/protocol.md. Run by hand it works just the same and speaks with nobody.
 *
 *     cc -O2 -o heartbeat heartbeat.c
 *     heartbeat [--hang-after N]     stop answering, and everything else, after N answers
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The control socket, or -1 when nobody is there to speak with. */
static int control(void)
{
    const char *number = getenv("BARDO_CTL");
    if (number == NULL)
        return -1;
    int fd = atoi(number);
    unsetenv("BARDO_CTL");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

/* Copies the value of a key out of a message; of a key that stands twice the last one counts. */
static int value_of(const char *message, const char *key, char *value, size_t room)
{
    size_t length = strlen(key);
    int found = 0;
    for (const char *line = message; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            line += length + 1;
            snprintf(value, room, "%.*s", (int)strcspn(line, "\n"), line);
            found = 1;
        }
    }
    return found;
}

static void say(int supervisor, const char *message)
{
    /* MSG_NOSIGNAL: the supervisor may just be on its way to the next one. */
    send(supervisor, message, strlen(message), MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    int hang_after = argc == 3 && strcmp(argv[1], "--hang-after") == 0 ? atoi(argv[2]) : -1;
    int answers = 0;
    int supervisor = control();
    char message[4096 + 1], value[4096], answer[4096 + 8];
    ssize_t length;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (supervisor < 0)
        pause();
    say(supervisor, "HELLO=1");
    while ((length = recv(supervisor, message, sizeof message - 1, 0)) > 0) {
        message[length] = '\0';
        if (value_of(message, "INIT", value, sizeof value)) {
            /* Here a real service opens its files and its sockets. */
            printf("started %s as life ", value);
            value_of(message, "INSTANCE", value, sizeof value);
            printf("%s of ", value);
            value_of(message, "LABEL", value, sizeof value);
            printf("%s\n", value);
            say(supervisor, "STATUS=nothing to do\nREADY=1");
        } else if (value_of(message, "COMMIT", value, sizeof value)) {
            printf("serving\n");
        } else if (value_of(message, "PING", value, sizeof value)) {
            while (answers == hang_after)
                pause();
            snprintf(answer, sizeof answer, "PONG=%s", value);
            say(supervisor, answer);
            answers++;
            printf("answered %s\n", value);
        }
    }
    return 0;
}
