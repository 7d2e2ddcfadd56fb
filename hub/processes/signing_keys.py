"""`pinghub keys signing …`: the keys that sign access tokens, and their rotation."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from core import clock, config, durable
from core.config import Auth
from core.errors import DomainError
from hub.http.tokens import SigningKey, load_keys, new_key, read_keys, written

app = App(
    name="signing",
    help="Keys that sign access tokens: `auth.signing_keys`.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
AsJson = Annotated[bool, Parameter(name="--json", negative="")]

# Longer than others may keep the JWKS document, and than a process takes to see the file.
_ANNOUNCE_SECONDS: Final = 360


class Listed(msgspec.Struct, frozen=True):
    """One key as `list` shows it."""

    kid: str
    state: Literal["announced", "signing", "verifying"]
    signs_from: int


@app.command(name="list")
def list_keys(*, as_json: AsJson = False) -> None:
    """Show the keys of the file, the newest first."""
    found = listed(config.load().auth)
    if as_json:
        _say(msgspec.json.encode(found).decode())
        return
    for item in found:
        _say(f"{item.kid}  {item.state}, signs from {_told(item.signs_from)}")


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub keys signing rotate`  a new key, known for six minutes before it signs\n\n"
        "- `pinghub keys signing rotate --announce-seconds 86400`  time to bring the file to all"
        " machines"
    )
)
def rotate(
    *,
    announce_seconds: Annotated[int, Parameter(validator=Number(gte=3))] = _ANNOUNCE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Add a key that signs after a while, and take those away whose tokens have all expired.

    Every hub process reads the file within a second; on several machines bring it to each before
    the new key signs.

    Parameters
    ----------
    announce_seconds
        How long the new key is known before it signs.
    as_json
        Print its id as JSON.
    """
    made, gone = add_key(config.load().auth, announce_seconds)
    if as_json:
        _say(json.dumps({"kid": made.key.kid, "signs_from": made.signs_from, "retired": gone}))
    else:
        _say(f"{made.key.kid} signs in {announce_seconds} s, {len(gone)} old keys retired")


def listed(auth: Auth) -> list[Listed]:
    """Return the keys of the file, the newest first, or raise ConfigError."""
    keys, now = load_keys(auth), clock.unix_seconds()
    signing = keys.signing_key.key.kid

    def state(item: SigningKey) -> Literal["announced", "signing", "verifying"]:
        if item.key.kid == signing:
            return "signing"
        return "announced" if item.signs_from > now else "verifying"

    ordered = sorted(keys.keys, key=lambda item: -item.signs_from)
    return [Listed(str(item.key.kid), state(item), item.signs_from) for item in ordered]


def add_key(auth: Auth, announce_seconds: int) -> tuple[SigningKey, list[str]]:
    """Write a new key to the file; return it, and the ids of those that were taken away.

    Raises request.conflict while another one is announced.
    """
    written_keys, keys, now = read_keys(auth), load_keys(auth), clock.unix_seconds()
    if any(item.signs_from > now for item in keys.keys):
        raise DomainError("request.conflict", "A key is announced already; wait until it signs.")
    made = new_key(now + announce_seconds)
    path = Path(auth.signing_keys)
    text = written([*keys.keys, made])
    durable.replace(path, text.encode(), path.stat().st_mode & 0o777)
    kept = {item.key.kid for item in keys.keys}
    gone = [str(item.key.kid) for item in written_keys if item.key.kid not in kept]
    return made, gone


def _told(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z" if seconds else "ever"


def _say(text: str) -> None:
    print(text)  # noqa: T201  # a command's output
