// The load: opens websockets, publishes through Redis or HTTP, counts what arrives. One thread, one epoll.
//
//   load PLAN      the plan (see load.py) says how a server is spoken to; commands come on stdin:
//     open N PARALLEL              open N more connections, so many at a time
//     publish COUNT WINDOW RATE    publish; at most WINDOW under way (0: any), RATE a second (0: as fast as it goes)
//     drop N PARALLEL              reset the first N connections and open them again by the plan's `again`
//     stall N                      never read from the last N connections again
//   Each ends with one line of JSON on stdout. Every publication carries "#<number in its channel>@<time>",
//   and every connection expects the numbers of its channel one by one: what is lost, doubled or swapped counts
//   as an error.
#define _GNU_SOURCE
#include "load.h"

enum { CONNECTIONS = 1 << 16 };

static struct connection connections[CONNECTIONS];
static int opened, wanted, opening, parallel, reopened, dropped, retries;
static uint64_t *published_in, *listening_in; // by channel
static struct {
    long count, published, window, rate;
    uint64_t due, delivered, started_at, last_at;
    int active;
} run;
static uint64_t errors, open_started_at, drop_started_at, last_progress;
static int drop_active, drop_next;
static int events, timer, publisher;
static struct bytes outbox;
static char inbox[1 << 20];

static void complain(struct connection *connection, const char *what, const char *text, size_t count) {
    if (errors++ < 5)
        fprintf(stderr, "connection %d: %s %.*s\n", connection ? connection->number : -1, what, (int)count, text);
}

static void watch(int fd, uint32_t wants, void *who, int how) {
    struct epoll_event event = {.events = wants, .data.ptr = who};
    if (epoll_ctl(events, how, fd, &event))
        fail("epoll_ctl");
}

static void start(struct connection *connection) {
    struct linger reset = {1, 0};
    int on = 1;
    // A source address has some 28,000 ports for one server.
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + connection->number / 10000);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection->fd < 0)
        fail("socket");
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (plan.receive_buffer)
        setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &plan.receive_buffer, sizeof(int));
    if (bind(connection->fd, (void *)&source, sizeof source))
        fail("bind");
    if (connect(connection->fd, (void *)&plan.server, sizeof plan.server) && errno != EINPROGRESS)
        fail("connect");
    connection->state = CONNECTING;
    connection->step = 0;
    connection->partial.count = 0;
    watch(connection->fd, EPOLLOUT, connection, EPOLL_CTL_ADD);
    opening++;
}

static void send_frame(struct connection *connection, int opcode, const char *payload, size_t count) {
    static char frame[8 + 65536];
    size_t head = count < 126 ? 2 : 4;
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | (count < 126 ? count : 126));
    if (head == 4)
        frame[2] = (char)(count >> 8), frame[3] = (char)count;
    memset(frame + head, 0, 4); // a mask of zeros leaves the payload as it is
    memcpy(frame + head + 4, payload, count);
    if (send(connection->fd, frame, head + 4 + count, MSG_NOSIGNAL) != (ssize_t)(head + 4 + count))
        complain(connection, "cannot send", strerror(errno), 40);
}

static void ready(struct connection *connection) {
    connection->state = READY;
    opening--;
    last_progress = now_us();
    if (connection->disturbed)
        reopened++;
    else {
        connection->seen = published_in[connection->channel];
        listening_in[connection->channel]++;
        opened++;
    }
}

// Sends what the dialog says up to the next answer that it waits for.
static void talk(struct connection *connection) {
    struct dialog *dialog = connection->disturbed ? &plan.again : &plan.dialog;
    char text[8192];
    for (; connection->step < dialog->count; connection->step++) {
        struct step *step = &dialog->steps[connection->step];
        if (step->waits)
            return;
        send_frame(connection, 1, text, expand(text, sizeof text, step->text, connection));
    }
    ready(connection);
}

static void restart(struct connection *connection) {
    close(connection->fd);
    opening--;
    if (++retries > 1000)
        fail("the server refuses connections");
    start(connection);
}

static void deliver(struct connection *connection, const char *mark, uint64_t now) {
    uint64_t number = strtoull(mark + 1, NULL, 10), sent_at = strtoull(mark + 2 + NUMBER_DIGITS, NULL, 10);
    if (number != connection->seen + 1)
        complain(connection, "expected another number than", mark, NUMBER_DIGITS + 1);
    connection->seen = number;
    run.delivered++;
    last_progress = now;
    if (!connection->disturbed)
        count_latency(now - sent_at);
}

static void message(struct connection *connection, char *payload, size_t count) {
    char *at = payload, *end = payload + count;
    uint64_t now = now_us();
    if (plan.again.count)
        remember_position(connection, payload, count);
    while ((at = memchr(at, '#', end - at)) && end - at > MARK_BYTES)
        if (at[1 + NUMBER_DIGITS] == '@') {
            deliver(connection, at, now);
            at += MARK_BYTES;
        } else
            at++;
    if (is_ping(payload, count))
        send_frame(connection, 1, plan.pong, strlen(plan.pong));
    if (connection->state == TALKING) {
        struct dialog *dialog = connection->disturbed ? &plan.again : &plan.dialog;
        const char *text = dialog->steps[connection->step].text;
        if (memmem(payload, count, text, strlen(text))) {
            connection->step++;
            talk(connection);
        } else if (memmem(payload, count, "\"error\"", 7))
            complain(connection, "was refused:", payload, count);
    }
}

static void closed(struct connection *connection, const char *payload, size_t count) {
    unsigned char *code = (unsigned char *)payload;
    char text[200];
    snprintf(text, sizeof text, "%d %.*s", count < 2 ? 1005 : code[0] << 8 | code[1], (int)count - 2, payload + 2);
    complain(connection, "was closed:", text, strlen(text));
}

// Returns how many bytes whole frames took.
static size_t frames(struct connection *connection, char *bytes, size_t count) {
    size_t used = 0;
    while (count - used >= 2) {
        unsigned char *head = (unsigned char *)bytes + used;
        size_t length = head[1] & 127, head_bytes = length < 126 ? 2 : length == 126 ? 4 : 10;
        if (count - used < head_bytes)
            break;
        if (head_bytes > 2)
            length = 0;
        for (size_t i = 2; i < head_bytes; i++)
            length = length << 8 | head[i];
        if (count - used < head_bytes + length)
            break;
        char *payload = bytes + used + head_bytes;
        used += head_bytes + length;
        if ((head[0] & 15) == 9)
            send_frame(connection, 10, payload, length);
        else if ((head[0] & 15) == 8)
            closed(connection, payload, length);
        else if ((head[0] & 15) < 3)
            message(connection, payload, length);
    }
    return used;
}

static size_t upgraded(struct connection *connection, char *bytes, size_t count) {
    char *end = memmem(bytes, count, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(bytes + 9, "101", 3))
        complain(connection, "no websocket:", bytes, end - bytes);
    connection->state = TALKING;
    talk(connection);
    return end + 4 - bytes;
}

static void readable(struct connection *connection) {
    if (connection->state == NEW)
        return; // dropped a moment ago
    struct bytes *partial = &connection->partial;
    memcpy(inbox, partial->data, partial->count);
    ssize_t got = recv(connection->fd, inbox + partial->count, sizeof inbox - partial->count, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        if (connection->state != READY) {
            restart(connection);
            return;
        }
        complain(connection, "was lost", "", 0);
        epoll_ctl(events, EPOLL_CTL_DEL, connection->fd, NULL);
        return;
    }
    size_t count = partial->count + got, used = 0;
    if (connection->state == UPGRADING)
        used = upgraded(connection, inbox, count);
    if (connection->state != UPGRADING)
        used += frames(connection, inbox + used, count - used);
    partial->count = 0;
    append(partial, inbox + used, count - used);
}

static void writable(struct connection *connection) {
    char request[8192];
    size_t count = expand(request, sizeof request, plan.request, connection);
    if (send(connection->fd, request, count, MSG_NOSIGNAL) != (ssize_t)count) {
        restart(connection);
        return;
    }
    connection->state = UPGRADING;
    watch(connection->fd, EPOLLIN, connection, EPOLL_CTL_MOD);
}

// All channels in turn, neighbours far apart: whoever is dropped has neighbours who are not.
static int channel_of(long publication) {
    return (int)(publication * 7919 % plan.channels);
}

static void publish_one(uint64_t stamp) {
    int channel = channel_of(run.published++);
    append_publication(&outbox, channel, ++published_in[channel], stamp);
    run.due += listening_in[channel];
}

static void publish(void) {
    uint64_t now = now_us();
    while (run.active && run.published < run.count) {
        uint64_t under_way = run.due - run.delivered;
        uint64_t each = listening_in[channel_of(run.published)];
        if (run.window && under_way + each > run.window * each)
            break;
        uint64_t stamp = run.rate ? run.started_at + run.published * 1000000 / run.rate : now;
        if (stamp > now)
            break;
        publish_one(stamp);
    }
    if (outbox.count) {
        ssize_t sent = send(publisher, outbox.data, outbox.count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            memmove(outbox.data, outbox.data + sent, outbox.count -= sent);
        watch(publisher, outbox.count ? EPOLLIN | EPOLLOUT : EPOLLIN, &publisher, EPOLL_CTL_MOD);
    }
}

static void published(void) {
    ssize_t got = recv(publisher, inbox, sizeof inbox, MSG_DONTWAIT);
    if (got == 0)
        fail("the broker closed the connection");
    if (got > 0 && (memmem(inbox, got, "-ERR ", 5) || memmem(inbox, got, "-NOSCRIPT ", 10) ||
                    memmem(inbox, got, "HTTP/1.1 4", 10)))
        complain(NULL, "publishing failed:", inbox, got < 200 ? got : 200);
}

static void command(void) {
    static char line[256];
    long first = 0, second = 0, third = 0;
    if (!fgets(line, sizeof line, stdin))
        exit(0);
    sscanf(line, "%*s %ld %ld %ld", &first, &second, &third);
    last_progress = now_us();
    if (!strncmp(line, "open", 4)) {
        parallel = second;
        for (int i = wanted; i < wanted + first && i < CONNECTIONS; i++)
            connections[i] = (struct connection){.number = i, .channel = i % plan.channels};
        wanted += first;
        open_started_at = now_us();
    } else if (!strncmp(line, "drop", 4)) {
        parallel = second;
        dropped = first, drop_next = reopened = 0, drop_active = 1;
        forget_latencies();
        drop_started_at = now_us();
        for (int i = 0; i < dropped; i++) {
            close(connections[i].fd);
            connections[i].disturbed = 1;
            connections[i].state = NEW;
        }
    } else if (!strncmp(line, "stall", 5)) {
        for (int i = wanted - first; i < wanted; i++) {
            connections[i].stalled = connections[i].disturbed = 1;
            listening_in[connections[i].channel]--;
            epoll_ctl(events, EPOLL_CTL_DEL, connections[i].fd, NULL);
        }
        printf("{\"stalled\":%ld}\n", first);
    } else if (!strncmp(line, "publish", 7)) {
        memset(&run, 0, sizeof run);
        forget_latencies();
        run.count = first, run.window = second, run.rate = third;
        run.active = 1;
        run.started_at = now_us();
        if (run.rate) {
            long step = 1000000000 / run.rate;
            struct itimerspec every = {{step / 1000000000, step % 1000000000}, {0, 1}};
            timerfd_settime(timer, 0, &every, NULL);
        }
    }
}

static int started;

static void advance(void) {
    uint64_t now = now_us();
    if (started < wanted || open_started_at) {
        while (opening < parallel && started < wanted)
            start(&connections[started++]);
        if (opened == wanted) {
            printf("{\"opened\":%d,\"seconds\":%.6f,\"retries\":%d,\"errors\":%lu}\n", opened,
                   (now - open_started_at) / 1e6, retries, errors);
            open_started_at = 0;
        }
    }
    if (drop_active) {
        while (opening < parallel && drop_next < dropped)
            start(&connections[drop_next++]);
        if (reopened == dropped) {
            printf("{\"reopened\":%d,\"seconds\":%.6f,\"retries\":%d,\"errors\":%lu,%s}\n", reopened,
                   (now - drop_started_at) / 1e6, retries, errors, latencies());
            drop_active = 0;
        }
    }
    if (run.active) {
        publish();
        int silent = now > last_progress + SILENCE_US;
        if ((run.published == run.count && run.due == run.delivered) || silent || errors > 100) {
            printf("{\"publications\":%ld,\"deliveries\":%lu,\"missing\":%ld,\"errors\":%lu,\"seconds\":%.6f,%s}\n",
                   run.published, run.delivered, (long)(run.due - run.delivered), errors,
                   (now - run.started_at) / 1e6, latencies());
            run.active = 0;
            timerfd_settime(timer, 0, &(struct itimerspec){0}, NULL);
        }
    }
    if ((open_started_at || drop_active) && now > last_progress + SILENCE_US)
        fail("connections do not open");
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    read_plan(argv[1]);
    published_in = calloc(plan.channels, sizeof *published_in);
    listening_in = calloc(plan.channels, sizeof *listening_in);
    events = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    publisher = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(publisher, (void *)&plan.publisher, sizeof plan.publisher))
        fail("the broker");
    setsockopt(publisher, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setvbuf(stdin, NULL, _IONBF, 0);
    watch(0, EPOLLIN, NULL, EPOLL_CTL_ADD);
    watch(timer, EPOLLIN, &timer, EPOLL_CTL_ADD);
    watch(publisher, EPOLLIN, &publisher, EPOLL_CTL_ADD);
    for (;;) {
        struct epoll_event found[512];
        int count = epoll_wait(events, found, 512, 1000);
        for (int i = 0; i < count; i++) {
            void *who = found[i].data.ptr;
            uint64_t ticks;
            if (!who)
                command();
            else if (who == &timer)
                (void)!read(timer, &ticks, sizeof ticks);
            else if (who == &publisher)
                published();
            else if (found[i].events & EPOLLOUT)
                writable(who);
            else
                readable(who);
        }
        advance();
    }
}
