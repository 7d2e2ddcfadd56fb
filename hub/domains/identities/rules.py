"""What an address is found by."""

import hashlib
from typing import Final

from core import normal_forms
from core.crypto import blind_index
from core.normal_forms import AddressKind
from hub.domains.identities.schemas import HashedAddress, PlainAddress

PROVED_DAYS: Final = 45
"""How long nobody else can have got an address that somebody has proved.

Carriers give a telephone number to the next subscriber after 45 days at the earliest (in the USA:
47 CFR 52.15(f)(1)(ii)).
"""


def digest_of(address: PlainAddress | HashedAddress, region: str | None) -> str | None:
    """Return the SHA-256 of an address's normal form in hex; None: it is no address.

    Apps may send it instead of the address: short as addresses are, it hides little, but it is not
    read by accident.
    """
    if isinstance(address, HashedAddress):
        return address.value
    if address.kind == "email":
        form = normal_forms.email(address.value)
    else:
        form = normal_forms.phone(address.value, region)
    return None if form is None else digest(form)


def digest(form: str) -> str:
    """Return the SHA-256 of a normal form in hex."""
    return hashlib.sha256(form.encode()).hexdigest()


def identity_index(index_key: bytes, kind: AddressKind, digest_hex: str) -> bytes:
    """Return the blind index of an address; of no use to whoever lacks the key."""
    return blind_index(index_key, f"identity.{kind}", digest_hex)
