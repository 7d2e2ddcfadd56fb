"""The bonds of a Bumble device in a file of its owner's alone, with the address they are made for.

A bond holds between two addresses, so a host that shall know its rings after a restart keeps both.
"""

import json
from pathlib import Path
from typing import Any, cast

from bumble import hci
from bumble.keys import KeyStore, PairingKeys

from core import durable


class Bonds(KeyStore):
    """A key store that survives; a damaged file is an empty one: its rings are paired anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bonds: dict[str, dict[str, Any]] = {}
        self.address = str(hci.Address.generate_static_address())
        """The device's own address; kept from the first bond on."""
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
            self._bonds = {name: dict(keys) for name, keys in content["bonds"].items()}
            self.address = str(hci.Address(content["address"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return

    async def update(self, name: str, keys: PairingKeys) -> None:
        """Keep a bond durably."""
        self._bonds[name] = keys.to_dict()
        self._save()

    async def delete(self, name: str) -> None:
        """Forget a bond; raises KeyError when there is none."""
        del self._bonds[name]
        self._save()

    async def get(self, name: str) -> PairingKeys | None:
        """Return a bond."""
        found = self._bonds.get(name)
        return PairingKeys.from_dict(found) if found is not None else None

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        """Return all bonds with the addresses of their peers."""
        return [(name, PairingKeys.from_dict(keys)) for name, keys in self._bonds.items()]

    def wipe(self) -> None:
        """Forget all bonds, as a ring does that is set back."""
        self._bonds.clear()
        self._save()

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = cast("dict[str, Any]", {"address": self.address, "bonds": self._bonds})
        durable.replace(self._path, json.dumps(content).encode())
