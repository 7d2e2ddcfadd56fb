// The floor: the least a server can do. One thread, one epoll; each message of Redis becomes one
// websocket frame, sent as it is by one send() per subscriber. No positions, no limits, no buffers.
//
//   floor PORT REDIS_PORT     a subscriber of channel N asks for "GET /N", Redis says "floor:N"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20, EVENTS = 512, CHANNELS = 1 << 16, BACKLOG = 8192 };

struct channel {
    int *subscribers;
    int count, room;
};

static struct channel channels[CHANNELS], *channel_of[CHANNELS]; // the latter by descriptor
static int events;
static char inbox[READ_BYTES];
static size_t inbox_bytes;

// The answer to the sample key of RFC 6455 1.3, the only one that the load generator sends.
static const char UPGRADED[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int tcp(int port, int serve) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (serve ? bind(fd, (void *)&address, sizeof address) || listen(fd, BACKLOG)
              : connect(fd, (void *)&address, sizeof address))
        fail("socket");
    return fd;
}

static void send_all(int fd, const char *bytes, size_t count) {
    while (count) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (sent < 0)
            return; // the subscriber is gone; its socket is closed when it is read
        else
            bytes += sent, count -= sent;
    }
}

static void deliver(struct channel *channel, const char *payload, size_t count) {
    static char frame[4 + 65536];
    size_t head = count < 126 ? 2 : 4;
    frame[0] = (char)0x81;
    frame[1] = count < 126 ? (char)count : 126;
    if (head == 4)
        frame[2] = (char)(count >> 8), frame[3] = (char)count;
    memcpy(frame + head, payload, count);
    for (int i = 0; i < channel->count; i++)
        send_all(channel->subscribers[i], frame, head + count);
}

// Reads "$length\r\n<bytes>\r\n"; NULL when it is not complete.
static char *bulk(char *at, char *end, char **bytes, size_t *count) {
    char *line = memchr(at, '\n', end - at);
    if (!line)
        return NULL;
    *count = strtoul(at + 1, NULL, 10);
    *bytes = line + 1;
    return *bytes + *count + 2 <= end ? *bytes + *count + 2 : NULL;
}

static void read_redis(int redis) {
    ssize_t got = recv(redis, inbox + inbox_bytes, READ_BYTES - inbox_bytes, 0);
    if (got <= 0)
        exit(0);
    inbox_bytes += got;
    char *at = inbox, *end = inbox + inbox_bytes;
    while (at < end) {
        char *next = memchr(at, '\n', end - at), *kind, *name, *payload;
        size_t kind_bytes, name_bytes, count;
        // pmessage, pattern, channel, payload; the confirmation is shorter and ends in a number
        if (!next || !(next = bulk(next + 1, end, &kind, &kind_bytes)) ||
            !(next = bulk(next, end, &name, &name_bytes)))
            break;
        if (kind[1] == 's') {
            if (!(next = memchr(next, '\n', end - next)))
                break;
            at = next + 1;
            continue;
        }
        if (!(next = bulk(next, end, &name, &name_bytes)) || !(next = bulk(next, end, &payload, &count)))
            break;
        deliver(&channels[atoi(name + strlen("floor:")) % CHANNELS], payload, count);
        at = next;
    }
    inbox_bytes = end - at;
    memmove(inbox, at, inbox_bytes);
}

static void forget(int fd) {
    struct channel *channel = channel_of[fd];
    for (int i = 0; channel && i < channel->count; i++)
        if (channel->subscribers[i] == fd)
            channel->subscribers[i] = channel->subscribers[--channel->count];
    channel_of[fd] = NULL;
    close(fd);
}

static void read_client(int fd) {
    char request[2048];
    ssize_t got = recv(fd, request, sizeof request - 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        forget(fd);
        return;
    }
    request[got] = 0;
    if (strncmp(request, "GET /", 5))
        return; // a frame
    struct channel *channel = channel_of[fd] = &channels[atoi(request + 5) % CHANNELS];
    if (channel->count == channel->room)
        channel->subscribers = realloc(channel->subscribers, sizeof(int) * (channel->room += channel->room + 1));
    channel->subscribers[channel->count++] = fd;
    send_all(fd, UPGRADED, sizeof UPGRADED - 1);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int on = 1, listener = tcp(atoi(argv[1]), 1), redis = tcp(atoi(argv[2]), 0);
    send_all(redis, "PSUBSCRIBE floor:*\r\n", 20);
    struct epoll_event found[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    events = epoll_create1(0);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = redis;
    epoll_ctl(events, EPOLL_CTL_ADD, redis, &event);
    for (;;) {
        int count = epoll_wait(events, found, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = found[i].data.fd;
            if (fd == redis)
                read_redis(redis);
            else if (fd != listener)
                read_client(fd);
            else
                while ((event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    epoll_ctl(events, EPOLL_CTL_ADD, event.data.fd, &event);
                }
        }
    }
}
