"""What operators see of the realtime layer; the names follow Centrifugo's behind our prefix."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from hub.realtime import codes
from hub.realtime.figures import FIGURES
from hub.realtime.protocol.messages import METHODS

CLIENTS = Gauge("pinghub_node_num_clients", "Connected sessions of this process.")
USERS = Gauge("pinghub_node_num_users", "Users with a connected session in this process.")
SUBSCRIPTIONS = Gauge("pinghub_node_num_subscriptions", "Subscriptions of this process.")
CHANNELS = Gauge("pinghub_node_num_channels", "Channels with a subscriber in this process.")
REPLY_ERRORS = Counter(
    "pinghub_client_num_reply_errors", "Commands answered by an error.", ["method", "code"]
)
DISCONNECTS = Counter(
    "pinghub_client_num_server_disconnects", "Sockets closed by the server.", ["code"]
)
UNSUBSCRIBES = Counter(
    "pinghub_client_num_server_unsubscribes", "Subscriptions ended by the server.", ["code"]
)
COMMAND_SECONDS = FIGURES.tallies(
    "pinghub_client_command_duration_seconds",
    "From the beginning of a command to its reply.",
    "method",
    METHODS,
)
RECOVERIES = Counter(
    "pinghub_client_recover", "Recoveries asked for, and whether they succeeded.", ["recovered"]
)
RECOVERED_PUBLICATIONS = Histogram(
    "pinghub_client_recovered_publications",
    "Publications in one recovery.",
    buckets=(0, 1, 2, 5, 10, 20, 50, 100, 200, 300),
)
PING_PONG_SECONDS = FIGURES.tally("pinghub_client_ping_pong_duration_seconds", "From ping to pong.")
BROADCAST_SECONDS = FIGURES.tally(
    "pinghub_node_broadcast_duration_seconds",
    "From taking publications that came together to the last write to a local subscriber.",
)
PUBLISH_TO_DELIVERY_SECONDS = FIGURES.tally(
    "pinghub_node_publish_to_delivery_seconds",
    "From the time that a publication carries to its last write here; a few are sampled.",
)
OUTGOING_CLOSES = Counter(
    "pinghub_transport_outgoing_close_count",
    "Transports ended from this side, by the code that was sent.",
    ["transport", "code"],
)
REQUESTS_REFUSED = Counter(
    "pinghub_node_num_requests_refused",
    "Requests that became no connection and no call.",
    ["door", "status"],
)
RESYNCS = Counter(
    "pinghub_node_channel_resyncs", "Channels compared with their stream.", ["outcome"]
)
BROKER_FAILURES = Counter(
    "pinghub_broker_redis_connection_failures", "Redis connections lost.", ["connection"]
)
PUB_SUB_LAG_SECONDS = Histogram(
    "pinghub_node_pub_sub_lag_seconds",
    "How long what Redis publishes waits before this process has it.",
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
REDIS_CALL_SECONDS = FIGURES.tallies(
    "pinghub_broker_redis_call_duration_seconds",
    "From sending scripts to Redis, alone or many together, to the last of their answers.",
    "script",
    ("publish", "history", "remove_history", "end_stream", "witness", "presence"),
)
PUB_SUB_DROPPED = Counter(
    "pinghub_broker_redis_pub_sub_dropped", "Messages from Redis that could not be delivered."
)
EPOCHS_ENDED = Counter(
    "pinghub_broker_redis_epochs_ended",
    "Streams begun anew because Redis came back without publications that it had acknowledged.",
)
API_SECONDS = Histogram(
    "pinghub_api_command_duration_seconds",
    "From a call of the server API to its answer.",
    ["method"],
)
API_ERRORS = Counter(
    "pinghub_api_command_errors", "Calls of the server API that were refused.", ["method", "code"]
)

_CLOSE_CODES: Final = frozenset(item.code for item in codes.DISCONNECTS)
_UNSUBSCRIBE_CODES: Final = frozenset(item.code for item in codes.UNSUBSCRIBES)
# RFC 6455 has a dozen codes of its own.
_WEBSOCKET_CODES: Final = range(1000, 1016)


def close_label(code: int) -> str:
    """Return a close code as a label; servers may send any, so those of applications are one."""
    known = code in _CLOSE_CODES or code in _WEBSOCKET_CODES
    return str(code) if known else "other"


def unsubscribe_label(code: int) -> str:
    """Return an unsubscribe code as a label."""
    return str(code) if code in _UNSUBSCRIBE_CODES else "other"
