"""Data keys wrapped by the ring or by a transit engine open only where they belong."""

import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from core import config
from core.crypto import DecryptionError, KeyRing
from core.errors import ConfigError, DomainError
from hub.embedded.child import free_port
from hub.providers.key_wrapping import Wrapped, open_wrapping
from tests.hub.providers.transit_double import TOKEN, TransitDouble, serving

KEY = bytes(range(32))
RING = KeyRing({1: os.urandom(32)})


@pytest_asyncio.fixture
async def transit() -> AsyncIterator[TransitDouble]:
    async with serving(TransitDouble()) as double:
        yield double


def settings(transit: TransitDouble, **changes: str) -> config.Keys:
    return config.Keys(**{"kms_url": transit.url, "kms_token": TOKEN, **changes})


@pytest.mark.req("SEC-01")
async def test_the_ring_wraps_with_its_newest_key_and_opens_with_every_one() -> None:
    old, new = os.urandom(32), os.urandom(32)
    wrapped = await open_wrapping(config.Keys(), KeyRing({1: old})).wrap(KEY, b"here")
    assert wrapped.by == "ring:1"
    assert KEY not in wrapped.content
    both = open_wrapping(config.Keys(), KeyRing({1: old, 2: new}))
    assert await both.unwrap(wrapped, b"here") == KEY
    assert (await both.wrap(KEY, b"here")).by == "ring:2"


async def test_a_wrapped_key_opens_neither_elsewhere_nor_with_another_ring() -> None:
    wrapping = open_wrapping(config.Keys(), RING)
    wrapped = await wrapping.wrap(KEY, b"here")
    for by, content, bound, ring in [
        (wrapped.by, wrapped.content, b"there", RING),
        (wrapped.by, wrapped.content[:-1] + b"\0", b"here", RING),
        (wrapped.by, b"short", b"here", RING),
        ("ring:2", wrapped.content, b"here", RING),
        ("ring:", wrapped.content, b"here", RING),
        ("vault:pinghub:1", wrapped.content, b"here", RING),
        (wrapped.by, wrapped.content, b"here", KeyRing({1: os.urandom(32)})),
    ]:
        with pytest.raises(DecryptionError):
            await open_wrapping(config.Keys(), ring).unwrap(Wrapped(content, by), bound)


@pytest.mark.req("SEC-08")
async def test_a_transit_engine_wraps_and_its_rotation_is_seen(transit: TransitDouble) -> None:
    wrapping = open_wrapping(settings(transit), None)
    first = await wrapping.wrap(KEY, b"here")
    transit.rotate()
    second = await wrapping.wrap(KEY, b"here")
    assert (first.by, second.by) == ("vault:pinghub:1", "vault:pinghub:2")
    assert await wrapping.unwrap(first, b"here") == await wrapping.unwrap(second, b"here") == KEY
    assert base64.b64encode(KEY) not in first.content
    with pytest.raises(DecryptionError):
        await wrapping.unwrap(first, b"there")


async def test_what_the_ring_wrapped_opens_after_the_move_to_a_transit_engine(
    transit: TransitDouble,
) -> None:
    wrapped = await open_wrapping(config.Keys(), RING).wrap(KEY, b"here")
    moved = open_wrapping(settings(transit), RING)
    assert await moved.unwrap(wrapped, b"here") == KEY
    assert (await moved.wrap(KEY, b"here")).by == "vault:pinghub:1"


async def test_what_the_database_names_leads_nowhere_else_in_vault(transit: TransitDouble) -> None:
    wrapping = open_wrapping(settings(transit), None)
    for name in ("", "..", "../../sys/seal", "pinghub/../../auth/token/create", "a?b", "a\nb"):
        with pytest.raises(DecryptionError):
            await wrapping.unwrap(Wrapped(b"vault:v1:AAAA", f"vault:{name}:1"), b"here")
    assert transit.calls == []


async def test_the_token_is_read_from_its_file_each_time(
    transit: TransitDouble, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("hvs.old\n")
    wrapping = open_wrapping(settings(transit, kms_token="", kms_token_file=str(token)), None)
    with pytest.raises(DomainError, match="Temporarily unavailable"):
        await wrapping.wrap(KEY, b"here")
    token.write_text(TOKEN + "\n")
    assert (await wrapping.wrap(KEY, b"here")).by == "vault:pinghub:1"


async def test_an_engine_that_is_sealed_or_away_or_refuses_is_an_outage_and_tells_nothing(
    transit: TransitDouble, tmp_path: Path
) -> None:
    wrapped = await open_wrapping(settings(transit), None).wrap(KEY, b"here")
    transit.is_sealed = True
    said = ""
    for refused in (
        settings(transit),
        settings(transit, kms_url=f"http://127.0.0.1:{free_port()}"),
        settings(transit, kms_token="hvs.wrong"),
        settings(transit, kms_token="", kms_token_file=str(tmp_path / "none")),
    ):
        wrapping = open_wrapping(refused, None)
        for call in (wrapping.wrap(KEY, b"here"), wrapping.unwrap(wrapped, b"here")):
            with (
                capture_logs([format_exc_info]) as lines,
                pytest.raises(DomainError, match="Temporarily unavailable"),
            ):
                await call
            assert lines
            said += json.dumps(lines, default=str)
    assert "hvs." not in said
    assert base64.b64encode(KEY).decode() not in said


@pytest.mark.parametrize(
    "url", ["http://vault.example:8200", "http://10.0.0.7:8200", "http://localhost.example"]
)
def test_no_key_goes_over_a_network_as_it_is(url: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        open_wrapping(config.Keys(kms_url=url, kms_token="t"), None)
    for here in ("http://localhost:8200", "http://[::1]:8200", "https://vault.example"):
        open_wrapping(config.Keys(kms_url=here, kms_token="t"), None)


def test_a_transit_engine_without_a_token_or_with_a_missing_authority_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"kms_token"):
        open_wrapping(config.Keys(kms_url="https://vault.example"), None)
    with pytest.raises(ConfigError, match=r"kms_ca_file"):
        open_wrapping(
            config.Keys(
                kms_url="https://vault.example", kms_token="t", kms_ca_file=str(tmp_path / "none")
            ),
            None,
        )
