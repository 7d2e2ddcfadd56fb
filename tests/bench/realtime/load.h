// What the load generator knows: the plan of a server, its templates, and the distribution of latencies.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { NUMBER_DIGITS = 12, STAMP_DIGITS = 16, CHANNEL_DIGITS = 7, STEPS = 16, PLACES = 8, SILENCE_US = 20000000 };
enum { MARK_BYTES = 2 + NUMBER_DIGITS + STAMP_DIGITS };

struct bytes {
    char *data;
    size_t count, room;
};
struct step {
    int waits;
    char *text;
};
struct dialog {
    struct step steps[STEPS];
    int count;
};
enum state { NEW, CONNECTING, UPGRADING, TALKING, READY };
struct connection {
    int fd, number, channel, step;
    uint8_t state, disturbed, stalled; // disturbed: its latencies do not count
    char epoch[32];
    uint64_t seen, offset;
    struct bytes partial;
};

static struct {
    struct sockaddr_in server, publisher;
    char *request, *ping, *pong, **tokens;
    int channels, receive_buffer;
    struct dialog dialog, again;
    struct bytes publication;
    // where the digits of channel, number and time are in `publication`
    size_t channel_at[PLACES], number_at[PLACES], stamp_at[PLACES];
} plan;

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void append(struct bytes *to, const char *data, size_t count) {
    if (!count)
        return;
    if (to->count + count > to->room)
        to->data = realloc(to->data, to->room = 2 * (to->count + count));
    memcpy(to->data + to->count, data, count);
    to->count += count;
}

// Templates

static void digits(char *at, int count, uint64_t value) {
    for (at += count; count--; value /= 10)
        *--at = (char)('0' + value % 10);
}

static void append_publication(struct bytes *to, int channel, uint64_t number, uint64_t stamp) {
    append(to, plan.publication.data, plan.publication.count);
    char *start = to->data + to->count - plan.publication.count;
    for (size_t *at = plan.channel_at; *at; at++)
        digits(start + *at, CHANNEL_DIGITS, channel);
    for (size_t *at = plan.number_at; *at; at++)
        digits(start + *at, NUMBER_DIGITS, number);
    for (size_t *at = plan.stamp_at; *at; at++)
        digits(start + *at, STAMP_DIGITS, stamp);
}

// Writes `text` with $c channel, $n connection, $t token, $e epoch, $o offset filled in.
static size_t expand(char *to, size_t room, const char *text, struct connection *connection) {
    size_t count = 0;
    for (; *text && count + 1 < room; text++) {
        char *at = to + count;
        size_t left = room - count;
        if (*text != '$' || !strchr("cnteo", text[1]))
            to[count++] = *text;
        else if (*++text == 'c')
            count += snprintf(at, left, "%0*d", CHANNEL_DIGITS, connection->channel);
        else if (*text == 'n')
            count += snprintf(at, left, "%0*d", CHANNEL_DIGITS, connection->number);
        else if (*text == 't')
            count += snprintf(at, left, "%s", plan.tokens[connection->number]);
        else if (*text == 'e')
            count += snprintf(at, left, "%s", connection->epoch);
        else
            count += snprintf(at, left, "%lu", connection->offset);
    }
    return count < room ? count : room - 1;
}

static void remember_position(struct connection *connection, char *payload, size_t count) {
    char *at = payload, *end = payload + count, *quote;
    if (connection->state == TALKING && (at = memmem(payload, count, "\"epoch\":\"", 9))) {
        at += 9;
        quote = memchr(at, '"', end - at);
        if (quote && quote - at < (ssize_t)sizeof connection->epoch) {
            memset(connection->epoch, 0, sizeof connection->epoch);
            memcpy(connection->epoch, at, quote - at);
        }
    }
    for (at = payload; (at = memmem(at, end - at, "\"offset\":", 9));)
        connection->offset = strtoull(at += 9, NULL, 10);
}

// A server that pings in its own protocol sends a message of its own, or one line among others.
static int is_ping(const char *payload, size_t count) {
    size_t length = strlen(plan.ping);
    if (!length)
        return 0;
    if (count == length)
        return !memcmp(payload, plan.ping, length);
    for (const char *at = payload; at; at = memchr(at, '\n', payload + count - at)) {
        at += *at == '\n';
        if (payload + count - at >= (ssize_t)length && !memcmp(at, plan.ping, length) &&
            (payload + count - at == (ssize_t)length || at[length] == '\n'))
            return 1;
    }
    return 0;
}

// The distribution of latencies: 32 steps between powers of two

enum { LATENCIES = 64 * 32 };
static uint64_t latency_counts[LATENCIES], latency_count;

static int latency_step(uint64_t us) {
    int power = us < 64 ? 5 : 63 - __builtin_clzll(us);
    return (power - 5) * 32 + (int)(us >> (power - 5));
}

static uint64_t latency_of(int step) {
    int power = step < 64 ? 5 : step / 32 + 4;
    return (uint64_t)(step - (power - 5) * 32) << (power - 5);
}

static void count_latency(uint64_t us) {
    int step = latency_step(us);
    latency_counts[step < LATENCIES ? step : LATENCIES - 1]++;
    latency_count++;
}

static void forget_latencies(void) {
    memset(latency_counts, 0, sizeof latency_counts);
    latency_count = 0;
}

static uint64_t percentile(double share) {
    uint64_t below = 0;
    for (int step = 0; step < LATENCIES; step++)
        if ((below += latency_counts[step]) && below >= share * latency_count)
            return latency_of(step);
    return 0;
}

static const char *latencies(void) {
    static char text[160];
    snprintf(text, sizeof text, "\"p50_us\":%lu,\"p95_us\":%lu,\"p99_us\":%lu,\"max_us\":%lu", percentile(.5),
             percentile(.95), percentile(.99), percentile(1));
    return text;
}

// The plan: lines "name value", then files it names

static struct bytes read_file(const char *path) {
    struct bytes file = {0};
    char part[65536];
    size_t got;
    FILE *from = fopen(path, "rb");
    if (!from)
        fail(path);
    while ((got = fread(part, 1, sizeof part, from)))
        append(&file, part, got);
    append(&file, "", 1);
    file.count--;
    fclose(from);
    return file;
}

static struct sockaddr_in local_port(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void find_places(size_t *places, const char *pattern) {
    struct bytes *in = &plan.publication;
    for (char *at = in->data; (at = memmem(at, in->data + in->count - at, pattern, strlen(pattern))); at++)
        *places++ = at - in->data;
}

static void add_step(struct dialog *dialog, int waits, char *text) {
    if (dialog->count < STEPS)
        dialog->steps[dialog->count++] = (struct step){waits, text};
}

static void read_plan(const char *path) {
    struct bytes text = read_file(path);
    struct bytes request = {0};
    plan.channels = 1;
    plan.ping = plan.pong = "";
    for (char *name = strtok(text.data, "\n"), *value; name; name = strtok(NULL, "\n")) {
        if ((value = strchr(name, ' ')))
            *value++ = 0;
        else
            value = "";
        if (!strcmp(name, "server_port"))
            plan.server = local_port(value);
        else if (!strcmp(name, "publish_port"))
            plan.publisher = local_port(value);
        else if (!strcmp(name, "channels"))
            plan.channels = atoi(value);
        else if (!strcmp(name, "receive_buffer"))
            plan.receive_buffer = atoi(value);
        else if (!strcmp(name, "request"))
            append(&request, value, strlen(value)), append(&request, "\r\n", 2);
        else if (!strcmp(name, "send") || !strcmp(name, "wait"))
            add_step(&plan.dialog, *name == 'w', value);
        else if (!strcmp(name, "again_send") || !strcmp(name, "again_wait"))
            add_step(&plan.again, name[6] == 'w', value);
        else if (!strcmp(name, "ping"))
            plan.ping = value;
        else if (!strcmp(name, "pong"))
            plan.pong = value;
        else if (!strcmp(name, "publication"))
            plan.publication = read_file(value);
        else if (!strcmp(name, "tokens")) {
            char *line = read_file(value).data, *end;
            for (int count = 0; *line; line = end + 1) {
                if (!(count & (count - 1)))
                    plan.tokens = realloc(plan.tokens, sizeof(char *) * (count ? 2 * count : 1));
                plan.tokens[count++] = line;
                if (!(end = strchr(line, '\n')))
                    break;
                *end = 0;
            }
        } else
            fail(name);
    }
    append(&request, "\r\n", 3);
    plan.request = request.data;
    find_places(plan.channel_at, "9999999");
    find_places(plan.number_at, "888888888888");
    find_places(plan.stamp_at, "7777777777777777");
}
