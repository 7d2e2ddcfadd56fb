"""A client's info as Redis keeps it: `<length of user>:<user>` first, which scripts can read."""

import msgspec

from hub.realtime.protocol.messages import EMPTY, ClientInfo

_decoder = msgspec.msgpack.Decoder(tuple[str, bytes, bytes])
_encode = msgspec.msgpack.Encoder().encode


def encode_info(info: ClientInfo) -> bytes:
    """Write a client's info; conn_info and chan_info may be bytes of any kind."""
    user = info.user.encode()
    rest = _encode((info.client, bytes(info.conn_info), bytes(info.chan_info)))
    return b"%d:%b%b" % (len(user), user, rest)


def decode_info(entry: bytes) -> ClientInfo:
    """Read what `encode_info` wrote, or raise ValueError."""
    length, _, rest = entry.partition(b":")
    end = int(length)
    client, conn_info, chan_info = _decoder.decode(rest[end:])
    return ClientInfo(
        user=rest[:end].decode(),
        client=client,
        conn_info=msgspec.Raw(conn_info) if conn_info else EMPTY,
        chan_info=msgspec.Raw(chan_info) if chan_info else EMPTY,
    )
