"""What operators see of the realtime layer; the names follow Centrifugo's behind our prefix."""

from prometheus_client import Counter, Gauge, Histogram

CLIENTS = Gauge("pinghub_node_num_clients", "Connected sessions of this process.")
USERS = Gauge("pinghub_node_num_users", "Users with a connected session in this process.")
SUBSCRIPTIONS = Gauge("pinghub_node_num_subscriptions", "Subscriptions of this process.")
CHANNELS = Gauge("pinghub_node_num_channels", "Channels with a subscriber in this process.")
CONNECTIONS_ACCEPTED = Counter(
    "pinghub_transport_connections_accepted", "Websockets accepted.", ["transport"]
)
REPLY_ERRORS = Counter(
    "pinghub_client_num_reply_errors", "Commands answered by an error.", ["method", "code"]
)
DISCONNECTS = Counter(
    "pinghub_client_num_server_disconnects", "Sockets closed by the server.", ["code"]
)
UNSUBSCRIBES = Counter(
    "pinghub_client_num_server_unsubscribes", "Subscriptions ended by the server.", ["code"]
)
COMMAND_SECONDS = Histogram(
    "pinghub_client_command_duration_seconds", "From command to reply.", ["method"]
)
RECOVERIES = Counter(
    "pinghub_client_recover", "Recoveries asked for, and whether they succeeded.", ["recovered"]
)
RECOVERED_PUBLICATIONS = Histogram(
    "pinghub_client_recovered_publications",
    "Publications in one recovery.",
    buckets=(0, 1, 2, 5, 10, 20, 50, 100, 200, 300),
)
PING_PONG_SECONDS = Histogram("pinghub_client_ping_pong_duration_seconds", "From ping to pong.")
BROADCAST_SECONDS = Histogram(
    "pinghub_node_broadcast_duration_seconds",
    "Handing one publication to all local subscribers.",
    buckets=(0.00001, 0.0001, 0.001, 0.01, 0.1, 1),
)
MESSAGES_SENT = Counter("pinghub_transport_messages_sent", "Websocket messages sent.")
MESSAGES_SENT_BYTES = Counter("pinghub_transport_messages_sent_size", "Bytes of messages sent.")
MESSAGES_RECEIVED = Counter("pinghub_transport_messages_received", "Websocket messages received.")
MESSAGES_RECEIVED_BYTES = Counter(
    "pinghub_transport_messages_received_size", "Bytes of messages received."
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
