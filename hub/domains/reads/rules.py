"""What a read is: a link that proves a tap, or the word of a tag that anybody can copy."""

import re
from typing import Final

from core.edge import TagRead
from firmware_bridge import static_tag
from firmware_bridge.static_tag import NdefError

_SUN: Final = re.compile(r"[?&](?:picc_data|cmac)=")


def claims_proof(read: TagRead) -> bool:
    """Tell whether the address says of itself that it is a SUN link; then it must be a genuine one.

    Else a tag that proves its taps could be imitated by one that does not.
    """
    return _SUN.search(read.url) is not None


def claimed_uid(read: TagRead) -> bytes | None:
    """Return the UID that a static tag goes by; None when it has none, or two."""
    try:
        mirrored = static_tag.read_uri(read.url).claimed_uid
    except NdefError:
        return None
    if mirrored is not None and read.uid not in (None, mirrored):
        return None
    return mirrored or read.uid
