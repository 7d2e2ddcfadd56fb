"""The hub's wishes for this gateway: revisioned, kept over restarts, refused as a whole.

A wish with a fault changes nothing and is reported with the reason; what was in effect stays.
"""

from pathlib import Path

import msgspec

from core import edge, log
from core.edge import Desired, GatewayConfig, Reported

_REASON_CHARS = 300

_log = log.get("gateway.config")


class RemoteConfig:
    """What is in effect, in a file of its own."""

    def __init__(self, path: Path) -> None:
        """Take up what an earlier run kept; a damaged file begins anew: the hub repeats itself."""
        self._path = path
        self.reported = Reported()
        try:
            self.reported = edge.decode(path.read_bytes(), Reported)
        except FileNotFoundError:
            return
        except (OSError, edge.PayloadError) as error:
            _log.warning("config_unreadable", reason=str(error))

    def take(self, desired: Desired) -> bool:
        """Take a wish; return whether there is something new to report."""
        known = self.reported
        if desired.rev <= max(known.rev, known.rejected_rev):
            return False
        try:
            values = _validated(desired)
            self._keep(Reported(rev=desired.rev, values=values))
        except (msgspec.ValidationError, OSError) as error:
            reason = str(error)[:_REASON_CHARS]
            _log.warning("config_rejected", rev=desired.rev, reason=reason)
            self.reported = msgspec.structs.replace(known, rejected_rev=desired.rev, reason=reason)
            return True
        _log.info("config_applied", rev=desired.rev)
        return True

    def _keep(self, reported: Reported) -> None:
        # As a whole: a power cut leaves the old file or the new one.
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(edge.encode(reported))
        fresh.chmod(0o600)
        fresh.replace(self._path)
        self.reported = reported


def _validated(desired: Desired) -> GatewayConfig:
    values = msgspec.convert(desired.desired, GatewayConfig)
    if (values.latitude is None) != (values.longitude is None):
        raise msgspec.ValidationError("latitude and longitude go together")
    return values
