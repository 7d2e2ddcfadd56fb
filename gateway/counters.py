"""The gateway's metrics; labels are closed sets."""

from typing import Final

from prometheus_client import Counter

TAPS: Final = Counter(
    "pinghub_gateway_taps", "Records notified by rings, by what the spool made of them", ["outcome"]
)
ACKNOWLEDGED: Final = Counter("pinghub_gateway_taps_acknowledged", "Taps that the hub committed")
REFUSED: Final = Counter("pinghub_gateway_taps_refused", "Taps that the hub refused", ["reason"])
