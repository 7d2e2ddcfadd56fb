"""What `pinghub up` generates: secrets once, the settings file embedded.toml at each start."""

import base64
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core import authority as ca
from core import clock
from core.db.bootstrap import as_login, at_database
from core.ids import new_id, new_token
from hub.embedded.private import write_private

DATABASE_NAME: Final = "pinghub"
# Settings of [database] and the login each of them uses.
LOGINS: Final = {
    "url": "ping_api",
    "worker_url": "ping_worker",
    "system_url": "ping_system",
    "owner_url": "ping_owner",
}
_FIELD_KEY_BYTES: Final = 32
_SUN_KEY_BYTES: Final = 16
_AUTHORITY_YEARS: Final = 20

Sections = dict[str, dict[str, Any]]


def secrets(home: Path) -> Sections:
    """Return the secrets of this home; each is generated once and never changes."""
    path = home / "secrets.toml"
    if not path.exists():
        signing_keys = home / "signing-keys.pem"
        write_private(signing_keys, _signing_key())
        field_key = base64.b64encode(os.urandom(_FIELD_KEY_BYTES)).decode()
        write_private(
            path,
            as_toml(
                {
                    "auth": {"signing_keys": str(signing_keys)},
                    "keys": {
                        "field_keys": f"1:{field_key}",
                        "index_key": os.urandom(_FIELD_KEY_BYTES).hex(),
                        "sun_master_key": os.urandom(_SUN_KEY_BYTES).hex(),
                    },
                    "gateway": {"id": str(new_id())},
                    "logins": {login: new_token(24) for login in LOGINS.values()},
                }
            ),
        )
    sections = tomllib.loads(path.read_text())
    if "realtime" not in sections:
        # Homes of earlier releases have neither this nor what follows.
        sections["realtime"] = {"api_keys": new_token(24)}
        write_private(path, as_toml(sections))
    if "pki" not in sections:
        sections["pki"] = _authority()
        write_private(path, as_toml(sections))
    return sections


def database_urls(superuser_url: str, logins: dict[str, str]) -> dict[str, str]:
    """Return the settings of [database] for the server that `superuser_url` names."""
    database_url = at_database(superuser_url, DATABASE_NAME)
    urls = {
        setting: as_login(database_url, login, logins[login]) for setting, login in LOGINS.items()
    }
    return {**urls, "superuser_url": superuser_url}


def write_settings(home: Path, sections: Sections) -> None:
    """Write embedded.toml, readable by its owner only."""
    heading = "# Written by `pinghub up` at each start. Change settings in pinghub.toml.\n\n"
    write_private(home / "embedded.toml", heading + as_toml(sections))


def as_toml(sections: Sections) -> str:
    """Return tables of plain values as TOML."""
    lines: list[str] = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        # Strings, numbers and booleans are written in TOML as in JSON.
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        lines.append("")
    return "\n".join(lines)


def _authority() -> dict[str, str]:
    made = ca.create("Ping Hub of this home", now=clock.now(), years=_AUTHORITY_YEARS)
    return {"ca_key": made.key, "ca_certificate": made.certificate}


def _signing_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
