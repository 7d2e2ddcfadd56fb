"""Claims as the REST interface takes and shows them, and as the hub keeps them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from hub.domains.rings.schemas import ClaimCode, Label, Ring, RingKind, RingStatus

ClaimStatus = Literal["open", "done", "refused"]
ClaimMethod = Literal["ble", "sun"]
PublicKeyHex = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)", description="X25519 public key, hex.")
]
TagHex = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)", description="16 bytes, hex.")]
U32 = Annotated[int, Meta(ge=0, lt=1 << 32)]


class StartClaim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the ring whose card carries this code."""

    claim_code: ClaimCode
    label: Label = "My ring"


class ClaimedRing(Struct, frozen=True):
    """What a claim shows of its ring before it is the claimer's."""

    kind: RingKind


class RingClaim(Struct, frozen=True, kw_only=True):
    """A claim: what the ring must be asked, and how far it is."""

    id: UUID
    status: ClaimStatus
    label: str
    ring: ClaimedRing
    methods: tuple[ClaimMethod, ...]
    """How possession can be proved; none: the tag has no keys, and the code was enough."""
    nonce: str
    hub_public_key: str
    ring_id: UUID | None
    """The ring, once it is the claimer's."""
    gateway_id: UUID | None
    gateway_code: str | None
    """Why the gateway could not help, as an error code; empty while it tries."""
    expires_at: datetime


class BleProof(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ble", tag_field="kind"
):
    """What the ring's PROOF characteristic holds."""

    ring_public_key: PublicKeyHex
    boot: U32
    seq: U32
    tag: TagHex


class SunProof(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sun", tag_field="kind"
):
    """A link that the ring's NFC tag has just given."""

    url: Annotated[str, Meta(min_length=1, max_length=512)]


Proof = BleProof | SunProof


class Claimed(Struct, frozen=True, kw_only=True):
    """The claim is done. A Bluetooth ring takes its new keys when it is given the confirmation."""

    ring: Ring
    confirmation: str | None


class Released(Struct, frozen=True, kw_only=True):
    """What is left of the ring, and the code by which the next owner claims it."""

    ring: Ring
    claim_code: str | None
    """Shown for a quarter of an hour, until somebody uses it."""


class AskGateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lets one of one's gateways fetch the proof, or bring the confirmation again."""

    gateway_id: UUID


class ClaimRow(Struct, frozen=True):
    """A claim with what its proof is judged by."""

    id: UUID
    user_id: UUID
    ring_id: UUID
    label: str
    status: ClaimStatus
    is_expired: bool
    nonce: bytes
    hub_public_key: bytes
    hub_private_key: bytes | None
    attempts: int
    proof_hash: bytes | None
    confirmation: bytes | None


class RingRow(Struct, frozen=True):
    """A ring with its sealed keys."""

    id: UUID
    user_id: UUID | None
    kind: RingKind
    status: RingStatus
    device_id: bytes | None
    nfc_uid_hash: bytes | None
    key_id: int | None
    tap_key: bytes | None
    id_key: bytes | None
    next_tap_key: bytes | None
    next_id_key: bytes | None


class ClaimView(Struct, frozen=True):
    """A claim as its row and its ring's tell of it."""

    id: UUID
    status: ClaimStatus
    label: str
    kind: RingKind
    has_tap_key: bool
    has_sun_keys: bool
    nonce: bytes
    hub_public_key: bytes
    ring_id: UUID
    gateway_id: UUID | None
    gateway_code: str | None
    expires_at: datetime


class GatewayErrand(Struct, frozen=True):
    """What a gateway is asked for: the proof, or with a confirmation to bring it to the ring."""

    claim_id: UUID
    user_id: UUID
    device_id: bytes
    nonce: bytes
    hub_public_key: bytes
    confirmation: bytes | None
