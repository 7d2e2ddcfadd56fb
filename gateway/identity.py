"""Who a gateway is, in a folder of its own: key, certificate, the hub's CA, names and addresses.

What is to replace it is collected in a folder inside (`claiming`, `renewing`). Renaming that to
`accepted` is the one moment of change: whoever opens the identity next moves its files up, again
after a crash, so that a key never stands beside the certificate of another.
"""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from core import durable
from gateway import certificate_dates

KEY: Final = "key.pem"
CERTIFICATE: Final = "certificate.pem"
CA: Final = "ca.pem"
NAMES: Final = "identity.json"
REQUEST: Final = "request.der"
_ANSWER: Final = "answer.pem"
_ACCEPTED: Final = "accepted"
_FILES: Final = (KEY, CERTIFICATE, CA, NAMES)

Stage = Literal["claiming", "renewing"]
Held = Literal["nothing", "request", "certificate"]


class IdentityError(Exception):
    """The identity's files are damaged; the message names the file."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What identity.json holds."""

    gateway_id: str
    mqtt_url: str
    hub_url: str
    client_token: str
    """Ends the MQTT client id: who does not know it cannot push this gateway out."""


class Validity(msgspec.Struct, frozen=True):
    """From when until when a certificate holds, in Unix milliseconds."""

    not_before_ms: int
    not_after_ms: int


def load(folder: Path) -> Identity | None:
    """Return the identity, None when the gateway was never claimed; IdentityError when damaged."""
    try:
        _move_up(folder)
        found = msgspec.json.decode((folder / NAMES).read_bytes(), type=Identity)
        missing = [name for name in _FILES if not (folder / name).exists()]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise IdentityError(f"{folder / NAMES}: {error}") from None
    if missing:
        raise IdentityError(f"{folder / missing[0]} is missing")
    return found


def validity(certificate: Path) -> Validity:
    """Return when a certificate holds, or raise IdentityError."""
    try:
        begin, end = certificate_dates.read(certificate.read_text())
    except (OSError, ValueError) as error:
        raise IdentityError(f"{certificate}: {error}") from None
    return Validity(round(begin.timestamp() * 1000), round(end.timestamp() * 1000))


def held(folder: Path, stage: Stage) -> Held:
    """Return how far a replacement has come."""
    if (folder / stage / CERTIFICATE).exists():
        return "certificate"
    return "request" if (folder / stage / REQUEST).exists() else "nothing"


def request(folder: Path, stage: Stage, name: str) -> bytes:
    """Return the signing request (DER) of a replacement; the same one until it is discarded.

    Its key is made with it, on this disk, and never leaves it. Raises OSError.
    """
    # Imported late: it is needed four times a year.
    from gateway import signing_request  # noqa: PLC0415  # memory

    place = folder / stage
    for owned in (folder, place):
        owned.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (place / REQUEST).exists():
        if not (place / KEY).exists():
            durable.replace(place / KEY, signing_request.new_key())
        made = signing_request.request_of((place / KEY).read_bytes(), name)
        durable.replace(place / REQUEST, made)
        durable.settle(folder)
    return (place / REQUEST).read_bytes()


def keep_certificate(
    folder: Path, stage: Stage, certificate: bytes, ca: bytes, names: Identity | None = None
) -> None:
    """Keep the hub's answer to the request; raises IdentityError when it is not for its key."""
    place = folder / stage
    durable.replace(place / CA, ca)
    if names is not None:
        durable.replace(place / NAMES, msgspec.json.encode(names))
    answer = place / _ANSWER
    durable.replace(answer, certificate)
    try:
        present(tls_context(), place, _ANSWER)
        validity(answer)
    except (OSError, ValueError) as error:
        answer.unlink()
        raise IdentityError(f"the hub's certificate cannot be used: {error}") from None
    answer.replace(place / CERTIFICATE)  # last: with it the replacement is complete
    durable.settle(place)


def accept(folder: Path, stage: Stage) -> None:
    """Let a complete replacement be the identity; raises OSError, and then it may be repeated."""
    _move_up(folder)
    (folder / stage).rename(folder / _ACCEPTED)
    durable.settle(folder)
    _move_up(folder)


def discard(folder: Path, stage: Stage) -> None:
    """Forget a replacement, its certificate first: half of one is never taken for a whole."""
    place = folder / stage
    for name in (CERTIFICATE, REQUEST):
        (place / name).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        for path in place.iterdir():
            path.unlink(missing_ok=True)
        place.rmdir()


def tls_context() -> ssl.SSLContext:
    """Return TLS 1.3 that checks the hub's name and trusts nobody until `present` is called."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def present(context: ssl.SSLContext, place: Path, certificate: str = CERTIFICATE) -> None:
    """Trust the CA in a folder and show its certificate; OSError when the key is not its own."""
    context.load_verify_locations(place / CA)
    # Without `password` OpenSSL would ask the terminal for one.
    context.load_cert_chain(place / certificate, place / KEY, password=b"")


def _move_up(folder: Path) -> None:
    accepted = folder / _ACCEPTED
    if not accepted.exists():
        return
    for name in _FILES:
        with suppress(FileNotFoundError):  # moved before the crash, or by a command meanwhile
            (accepted / name).replace(folder / name)
    durable.settle(folder)
    with suppress(OSError):  # a command removes it at the same moment
        for path in accepted.iterdir():
            path.unlink(missing_ok=True)
        accepted.rmdir()
