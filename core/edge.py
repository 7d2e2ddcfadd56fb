"""The contract between gateway and hub: MQTT topics and the CBOR payloads on them.

Topics: gateways write under `ping/v1/gw/{gateway}/…`, the hub answers under
`ping/v1/cmd/gw/{gateway}/…`; the two trees are disjoint so that one ACL line each fences a gateway.
Payloads are CBOR maps (RFC 8949, deterministic) with the field names of the Structs below.
"""

from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import cbor2
import msgspec

TAPS_FILTER: Final = "ping/v1/gw/+/ring/+/tap"
READS_FILTER: Final = "ping/v1/gw/+/nfc/+/sun"
STATE_FILTER: Final = "ping/v1/gw/+/state"
INFO_FILTER: Final = "ping/v1/gw/+/info"
HEALTH_FILTER: Final = "ping/v1/gw/+/health"
RING_STATE_FILTER: Final = "ping/v1/gw/+/ring/+/state"
CSR_FILTER: Final = "ping/v1/gw/+/csr"
CONTENT_TYPE: Final = "application/cbor;v=1"

TapKind = Literal["tap_to_phone", "ring_to_ring", "button", "tamper"]
TimeSource = Literal["synced", "bounded", "gateway", "none"]
RejectCode = Literal[
    "malformed",  # the event or the record in it does not decode
    "unknown_ring",  # no ring with this device id, or it is not claimed
    "bad_tag",  # the record's CMAC does not verify with the ring's key
    "ring_revoked",  # the ring was reported lost or revoked
    "counter_stale",  # boot and seq were already used by a different record
]
U32 = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Natural = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
"""A count or a time that a database and a browser can hold, whoever sent it."""
_Name = Annotated[str, msgspec.Meta(max_length=200)]


class PayloadError(Exception):
    """The payload is not CBOR of the expected shape."""


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all payloads; unknown fields are ignored so that either side may be newer."""


class TapEvent(Payload, frozen=True, kw_only=True):
    """One tap. `raw` is authoritative; the hub verifies its tag, the rest is the gateway's view."""

    v: Literal[1] = 1
    ring: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    boot: U32
    seq: U32
    raw: Annotated[bytes, msgspec.Meta(max_length=64)]
    t: int | None = None
    """Unix milliseconds of the tap, as far as the gateway knows."""
    unc_ms: int = 0
    t_src: TimeSource = "none"
    rx_ms: int = 0
    """Unix milliseconds when the gateway received the record."""
    tx_ms: int = 0
    """Unix milliseconds, by the gateway's clock, of this sending; shows how far clocks differ."""
    rssi: int | None = None
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None


class Ack(Payload, frozen=True, kw_only=True):
    """The hub's word for one (ring, boot): committed seqs as ranges, refused ones with a reason.

    With neither, the hub has seen taps of it and cannot judge them now: others may go first.
    """

    ring: bytes
    boot: U32
    sack: list[tuple[int, int]] = []
    """Inclusive ranges of seqs that are committed; the gateway may forget them."""
    rej: list[tuple[int, str]] = []
    """Refused for good: quarantine, never resend. A RejectCode, or one of a newer hub."""


class TagRead(Payload, frozen=True, kw_only=True):
    """What an NFC reader found on a tag. Only a SUN link in `url` proves anything."""

    v: Literal[1] = 1
    id: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    """Drawn by the gateway; names this read however often it is sent."""
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    uid: Annotated[bytes, msgspec.Meta(min_length=4, max_length=10)] | None = None
    """What the tag called itself: any can say so, and some say another one each time."""
    t: int | None = None
    unc_ms: int = 0
    t_src: TimeSource = "none"
    rx_ms: int = 0
    tx_ms: int = 0
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None


DEFERRED: Final = "deferred"
"""The hub cannot judge this read now: others may go first, it is to be sent again."""


class AckMessage(Payload, frozen=True, kw_only=True):
    """What one message on the ack topic carries."""

    acks: list[Ack] = []
    reads: list[tuple[bytes, str]] = []
    """Id of a TagRead, and empty when it is committed, DEFERRED, or why it is refused."""


class GatewayState(Payload, frozen=True, kw_only=True):
    """Presence of a gateway (retained; `lost` is its last will)."""

    state: Literal["online", "stopping", "lost"]
    session: Annotated[str, msgspec.Meta(max_length=64)]
    t: Natural


class GatewayConfig(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What the hub may set from afar; what is left out stays as the gateway's own settings say."""

    health_seconds: Annotated[int, msgspec.Meta(ge=10, le=3600)] | None = None
    connections_per_adapter: Annotated[int, msgspec.Meta(ge=1, le=256)] | None = None
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None


Revision = Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]


class Desired(Payload, frozen=True, kw_only=True):
    """What the hub wants of a gateway. Only a higher revision than the last one is looked at."""

    rev: Revision
    desired: dict[str, Any]
    """A GatewayConfig; what is none is rejected as a whole and reported."""


class Reported(Payload, frozen=True, kw_only=True):
    """What a gateway has made of the hub's wishes."""

    rev: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)] = 0
    """The revision in effect; 0: none yet."""
    values: GatewayConfig = msgspec.field(default_factory=GatewayConfig)
    rejected_rev: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)] = 0
    """A later revision that was refused; `values` stayed."""
    reason: Annotated[str, msgspec.Meta(max_length=300)] = ""


class GatewayInfo(Payload, frozen=True, kw_only=True):
    """What a gateway is (retained; sent at each connect and when something of it changes)."""

    v: Literal[1] = 1
    session: Annotated[str, msgspec.Meta(max_length=64)]
    t: Natural
    version: Annotated[str, msgspec.Meta(max_length=64)]
    adapters: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=32)] = ()
    readers: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=32)] = ()
    """Names of its NFC readers."""
    capabilities: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=64)] = ()
    """Names of the RPC methods that it serves."""
    reported: Reported = msgspec.field(default_factory=Reported)


class SpoolReport(Payload, frozen=True, kw_only=True):
    """The part of a gateway's health that tells of its spool."""

    pending: Natural = 0
    sent: Natural = 0
    quarantined: Natural = 0
    dropped: Natural = 0
    oldest_ms: Natural | None = None
    failing: Annotated[str, msgspec.Meta(max_length=300)] = ""


class AdapterReport(Payload, frozen=True, kw_only=True):
    """The part of a gateway's health that tells of one Bluetooth adapter."""

    adapter: Annotated[str, msgspec.Meta(max_length=100)]
    scanning: bool = False
    scan_age_ms: Natural | None = None
    """Milliseconds since anything was heard."""
    links: Natural = 0
    problem: Annotated[str, msgspec.Meta(max_length=300)] = ""


class ReaderReport(Payload, frozen=True, kw_only=True):
    """The part of a gateway's health that tells of one NFC reader."""

    reader: Annotated[str, msgspec.Meta(max_length=64)]
    """Its name, as in topics."""
    up: bool = False
    opens: Natural = 0
    reads: Natural = 0
    unread: Natural = 0
    """Tags that gave no address: removed too soon, damaged, or of another kind."""
    problem: Annotated[str, msgspec.Meta(max_length=300)] = ""


class HealthReport(Payload, frozen=True, kw_only=True):
    """What the hub keeps of a gateway's health message, which has further fields."""

    session: Annotated[str, msgspec.Meta(max_length=64)]
    t: Natural
    """Unix milliseconds; messages of an outage come later and out of order."""
    tx_ms: Natural = 0
    """Unix milliseconds, by the gateway's clock, of the sending; 0: sent later than it was made."""
    uptime_s: Natural
    rss_kib: Natural = 0
    mqtt_connects: Natural = 0
    window: Natural = 0
    acknowledged: Natural = 0
    malformed: Natural = 0
    delivery_alarm: Annotated[str, msgspec.Meta(max_length=64)] = ""
    spool: SpoolReport = msgspec.field(default_factory=SpoolReport)
    adapters: Annotated[tuple[AdapterReport, ...], msgspec.Meta(max_length=32)] = ()
    readers: Annotated[tuple[ReaderReport, ...], msgspec.Meta(max_length=32)] = ()
    certificate_expires_ms: Natural | None = None
    """Unix milliseconds when the certificate in use ends; None: the gateway logs in otherwise."""
    certificate_problem: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Why it is not renewed, or not accepted; the words of docs/edge.md."""


RingLinkState = Literal["connected", "seen", "lost"]


class RingState(Payload, frozen=True, kw_only=True):
    """What a gateway sees of a ring (retained); unsigned, so heard of the owner's gateways only."""

    v: Literal[1] = 1
    link: RingLinkState
    t: Natural
    rssi: Annotated[int, msgspec.Meta(ge=-128, le=127)] | None = None
    bat: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    """Battery in per cent."""
    fw: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class RpcRequest(Payload, frozen=True, kw_only=True):
    """A call of a gateway; the method is in the topic."""

    id: Annotated[bytes, msgspec.Meta(min_length=1, max_length=32)]
    """The caller's; the same id is the same call, however often it arrives."""
    args: dict[str, Any] = {}


RpcCode = Literal[
    "",
    "unknown_method",
    "malformed",  # the arguments are none of this method
    "not_connected",  # the ring has no link to this gateway now
    "not_pressed",  # the ring waits for a press, which did not come
    "failed",  # tried, without success
    "timeout",
    "busy",
]


class RpcReply(Payload, frozen=True, kw_only=True):
    """The answer to a call; `code` is empty when it succeeded."""

    id: bytes
    code: RpcCode = ""
    result: dict[str, Any] = {}


class CertificateRequest(Payload, frozen=True, kw_only=True):
    """A gateway asks for the successor of its certificate; repeated until a reply comes."""

    id: Annotated[bytes, msgspec.Meta(min_length=1, max_length=32)]
    """The gateway's; the reply repeats it."""
    csr: bytes
    """PKCS #10, DER, up to 4 KiB. Only its public key counts: P-256 or Ed25519."""


CertificateCode = Literal[
    "",
    "revoked",  # no gateway of this hub, or not any more: it has to be claimed anew
    "malformed",  # no request, a wrong signature, or a key of another kind
    "not_due",  # more than a third of the certificate's life is left
    "unavailable",  # this hub has no certificate authority, or it ends too soon
]


class CertificateReply(Payload, frozen=True, kw_only=True):
    """The answer to a CertificateRequest; `code` is empty when it holds a certificate."""

    id: bytes
    code: CertificateCode = ""
    certificate: bytes = b""
    """PEM, of the gateway alone. The former one stays valid for another 24 hours."""
    ca: bytes = b""
    """PEM, one or more certificates that the gateway trusts its broker by from now on."""


_P = TypeVar("_P", bound=Payload)


def tap_topic(gateway: UUID | str, ring: bytes) -> str:
    """Return where a gateway publishes the taps of a ring."""
    return f"ping/v1/gw/{gateway}/ring/{ring.hex()}/tap"


def read_topic(gateway: UUID | str, reader: str) -> str:
    """Return where a gateway publishes what one of its NFC readers has read."""
    return f"ping/v1/gw/{gateway}/nfc/{reader}/sun"


def ring_state_topic(gateway: UUID | str, ring: bytes) -> str:
    """Return where a gateway tells what it sees of a ring."""
    return f"ping/v1/gw/{gateway}/ring/{ring.hex()}/state"


def state_topic(gateway: UUID | str) -> str:
    """Return where a gateway's presence is retained."""
    return f"ping/v1/gw/{gateway}/state"


def ack_topic(gateway: UUID | str) -> str:
    """Return where the hub acknowledges a gateway's taps."""
    return f"ping/v1/cmd/gw/{gateway}/ack"


def info_topic(gateway: UUID | str) -> str:
    """Return where a gateway says what it is."""
    return f"ping/v1/gw/{gateway}/info"


def health_topic(gateway: UUID | str) -> str:
    """Return where a gateway reports its health."""
    return f"ping/v1/gw/{gateway}/health"


def config_topic(gateway: UUID | str) -> str:
    """Return where the hub says what it wants of a gateway."""
    return f"ping/v1/cmd/gw/{gateway}/config"


def rpc_topic(gateway: UUID | str, method: str) -> str:
    """Return where a method of a gateway is called; `+` as the method subscribes to all."""
    return f"ping/v1/cmd/gw/{gateway}/rpc/{method}"


def reply_topic(gateway: UUID | str) -> str:
    """Return where a gateway answers calls."""
    return f"ping/v1/gw/{gateway}/rsp"


def csr_topic(gateway: UUID | str) -> str:
    """Return where a gateway asks for its next certificate."""
    return f"ping/v1/gw/{gateway}/csr"


def crt_topic(gateway: UUID | str) -> str:
    """Return where the hub answers a gateway's certificate requests."""
    return f"ping/v1/cmd/gw/{gateway}/crt"


def gateway_of(topic: str) -> str:
    """Return the gateway id in a topic of the gateways' subtree."""
    return topic.split("/", 4)[3]


def encode(payload: Payload) -> bytes:
    """Encode a payload as deterministic CBOR."""
    return cbor2.dumps(msgspec.to_builtins(payload, builtin_types=(bytes,)), canonical=True)


def stamp(payload: bytes, sent_ms: int, *, moved_ms: int = 0, widened_ms: int = 0) -> bytes:
    """Return an encoded TapEvent or TagRead with the time of this sending, all by one clock.

    `moved_ms` is by how much the sender's clock was set since, `widened_ms` how unsure that is.
    """
    event: dict[str, Any] = {**cbor2.loads(payload), "tx_ms": sent_ms}
    for name in ("t", "rx_ms"):
        if moved_ms and event.get(name):
            event[name] += moved_ms
    if widened_ms:
        event["unc_ms"] = event.get("unc_ms", 0) + widened_ms
    return cbor2.dumps(event, canonical=True)


def decode(data: bytes, kind: type[_P]) -> _P:
    """Decode a payload, or raise PayloadError."""
    try:
        return msgspec.convert(cbor2.loads(data), kind)
    except (msgspec.ValidationError, cbor2.CBORDecodeError, ValueError, RecursionError) as error:
        raise PayloadError(str(error)) from None
