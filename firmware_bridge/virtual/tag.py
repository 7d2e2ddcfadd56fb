"""A virtual NTAG 424 DNA tag: each read shows the next SUN link; the counter is durable."""

import msgspec

from firmware_bridge import sun
from firmware_bridge.sun_session import SunMode
from firmware_bridge.virtual.memory import Memory


class TagKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What is personalised into a tag."""

    uid: bytes
    meta_key: bytes
    file_key: bytes
    mode: SunMode = "aes"


def next_link(base: str, keys: TagKeys, memory: Memory, *, file_data: bytes = b"") -> str:
    """Count a read durably and return the link that a phone would open."""
    return sun.make_link(
        base,
        meta_key=keys.meta_key,
        file_key=keys.file_key,
        uid=keys.uid,
        counter=memory.count_sun(),
        file_data=file_data,
        mode=keys.mode,
    )
