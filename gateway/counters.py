"""The gateway's metrics; labels are closed sets."""

from typing import Final

from prometheus_client import Counter

TAPS: Final = Counter(
    "pinghub_gateway_taps", "Records notified by rings, by what the spool made of them", ["outcome"]
)
ACKNOWLEDGED: Final = Counter("pinghub_gateway_taps_acknowledged", "Taps that the hub committed")
REFUSED: Final = Counter("pinghub_gateway_taps_refused", "Taps that the hub refused", ["reason"])
READS: Final = Counter(
    "pinghub_gateway_reads", "Reads of NFC tags, by what the spool made of them", ["outcome"]
)
TAGS_UNREAD: Final = Counter(
    "pinghub_gateway_tags_unread", "NFC tags that gave no address, by what was wrong", ["problem"]
)
READS_ACKNOWLEDGED: Final = Counter(
    "pinghub_gateway_reads_acknowledged", "Reads that the hub committed"
)
