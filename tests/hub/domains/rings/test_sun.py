"""GET /t: a link of a ring's NFC chip counts once, and says nothing to those who guess."""

import asyncio
import re
from types import SimpleNamespace

import pytest

from core.db import Pool
from firmware_bridge import sun, sun_keys
from hub.domains.rings import service
from tests.fixtures.app import SUN_MASTER_KEY, NewRing, Running, User, count_rows

JSON = {"Accept": "application/json"}


KINDS = [("aes", b""), ("aes", b"sixteen bytes ok"), ("lrp", b""), ("lrp", b"sixteen bytes ok")]
"""Modes of a tag, without and with encrypted file data: the rules are the same for all."""


def link(
    ring: NewRing, counter: int, mode: sun.SunMode = "aes", file_data: bytes = b"", **changes: bytes
) -> str:
    keys = sun_keys.tag_keys(SUN_MASTER_KEY, ring.nfc_uid, mode)
    parts = {"meta_key": keys.meta, "file_key": keys.file, "uid": ring.nfc_uid} | changes
    return sun.make_link("/t", counter=counter, mode=mode, file_data=file_data, **parts)


@pytest.fixture
async def ring(ada: User, give_ring) -> NewRing:
    return await give_ring(ada)


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_link_of_any_kind_counts_once(kind, hub, ada: User, ring: NewRing, anonymous):
    def url(counter: int) -> str:
        return link(ring, counter, *kind)

    first = url(7)
    answer = await anonymous.get(first, headers=JSON)
    assert answer.status_code == 200, answer.text
    again = await anonymous.get(first, headers=JSON)
    assert (again.status_code, again.content) == (200, answer.content)
    async with hub.client() as other:
        for used in (first, url(6)):
            refused = await other.get(used, headers=JSON)
            assert (refused.status_code, refused.json()["code"]) == (409, "tap.already_used")
        flipped = url(8)
        flipped = flipped[:-1] + ("0" if flipped[-1] != "0" else "1")
        assert (await other.get(flipped)).status_code == 403
        assert (await other.get(url(8))).status_code == 200
    taps = (await ada.client.get("/v1/rings/taps")).json()["items"]
    assert [(tap["seq"], tap["verified"]) for tap in taps] == [(8, True), (7, True)]


async def test_a_counter_of_one_mode_is_a_counter_of_the_other(ring: NewRing, anonymous):
    assert (await anonymous.get(link(ring, 7, "lrp"))).status_code == 200
    anonymous.cookies.clear()
    assert (await anonymous.get(link(ring, 7, "aes"))).status_code == 409


async def test_the_last_count_of_a_tag_counts_once_and_the_operator_is_told(
    ring: NewRing, hub: Running, anonymous, monkeypatch
):
    warned: list[tuple[str, str]] = []

    def warning(event: str, *, ring_id: str) -> None:
        warned.append((event, ring_id))

    monkeypatch.setattr(service, "_log", SimpleNamespace(warning=warning))
    url = link(ring, sun.COUNTER_MAX, "lrp")
    for _ in range(2):
        assert (await anonymous.get(url)).status_code == 200
    assert warned == [("sun_tag_worn_out", str(ring.id))]
    async with hub.client() as other:
        assert (await other.get(url)).status_code == 409


async def test_a_fresh_link_is_a_tap_of_the_ring(ada: User, ring: NewRing, anonymous):
    answer = await anonymous.get(link(ring, 1), headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"tap_id", "status"}
    (tap,) = (await ada.client.get("/v1/rings/taps")).json()["items"]
    assert tap["id"] == answer.json()["tap_id"]
    assert (tap["source"], tap["boot"], tap["seq"], tap["verified"]) == ("sun", 0, 1, True)


async def test_the_same_browser_may_open_a_link_again(ring: NewRing, anonymous, system_pool):
    first = await anonymous.get(link(ring, 1), headers=JSON)
    url = str(first.request.url)
    again = await anonymous.get(url, headers=JSON)
    assert (again.status_code, again.content) == (200, first.content)
    assert await count_rows(system_pool, "ring_taps") == 1
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


async def test_another_browser_may_not(hub: Running, ring: NewRing, anonymous, system_pool):
    url = link(ring, 1)
    await anonymous.get(url)
    async with hub.client() as other:
        answer = await other.get(url, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "tap.already_used")
    assert await count_rows(system_pool, "ring_taps") == 1


async def test_after_a_minute_nobody_may(ring: NewRing, anonymous, system_pool: Pool):
    url = link(ring, 1)
    await anonymous.get(url)
    async with system_pool.connection() as connection:
        await connection.execute(
            "UPDATE ring_taps SET received_at = received_at - interval '61 seconds'"
        )
    assert (await anonymous.get(url)).status_code == 409


@pytest.mark.req("RNG-05")
async def test_a_counter_never_goes_back(ring: NewRing, anonymous, system_pool):
    assert (await anonymous.get(link(ring, 7))).status_code == 200
    for counter in (7, 6, 1):
        anonymous.cookies.clear()
        assert (await anonymous.get(link(ring, counter))).status_code == 409
    assert (await anonymous.get(link(ring, 8))).status_code == 200
    assert await count_rows(system_pool, "ring_taps") == 2


async def test_of_20_at_once_exactly_one_counts(hub: Running, ring: NewRing, system_pool):
    url = link(ring, 1)

    async def open_it() -> int:
        async with hub.client() as client:
            return (await client.get(url, headers=JSON)).status_code

    statuses = await asyncio.gather(*(open_it() for _ in range(20)))
    assert sorted(statuses) == [200] + [409] * 19
    assert await count_rows(system_pool, "ring_taps") == 1


def plain_link(ring: NewRing, counter: int) -> str:
    keys = sun_keys.tag_keys(SUN_MASTER_KEY, ring.nfc_uid)
    return sun.make_link(
        "/t",
        meta_key=keys.meta,
        file_key=keys.file,
        uid=ring.nfc_uid,
        counter=counter,
        layout=sun.Layout(plain="aes"),
    )


@pytest.fixture
async def unusable(ada: User, give_ring, make_ring) -> list[NewRing]:
    lost, unclaimed = await give_ring(ada), await make_ring()
    await ada.client.post(f"/v1/rings/{lost.id}/lost")
    return [lost, unclaimed]


async def test_every_bad_link_is_refused_alike_and_nothing_changes(
    ring: NewRing, unusable, anonymous, system_pool
):
    good = link(ring, 5)
    stranger = NewRing(ring.id, ring.device_id, b"\x04strang", "", b"")
    flipped = good[:-1] + ("0" if good[-1] != "0" else "1")
    picc_flipped = good.replace("picc_data=", "picc_data=F", 1)[: len(good)]
    bad = [
        "/t",
        "/t?",
        "/t?picc_data=&cmac=",
        "/t?picc_data=zz&cmac=zz",
        "/t?%ff=%00&picc_data=%ff",
        good.replace("cmac=", "mac="),
        good + "&cmac=0000000000000000",
        good + "00",
        "/t?x=" + "A" * 5000,
        flipped,
        picc_flipped,
        link(ring, 5, file_key=bytes(16)),
        link(ring, 5, meta_key=bytes(16)),
        link(ring, 5, "lrp", meta_key=sun_keys.meta_key(SUN_MASTER_KEY, "aes")),
        link(ring, 5, "lrp", file_key=sun_keys.file_key(SUN_MASTER_KEY, ring.nfc_uid, "aes")),
        plain_link(ring, 5),
        link(stranger, 5),
        *(link(other, 5) for other in unusable),
    ]
    bodies = set()
    for url in bad:
        answer = await anonymous.get(url, headers=JSON | {"X-Request-Id": "same"})
        assert (answer.status_code, answer.json()["code"]) == (403, "tap.refused"), url
        bodies.add(answer.content)
        assert "set-cookie" not in answer.headers
    assert len(bodies) == 1
    pages = {(await anonymous.get(url)).content for url in bad}
    assert len(pages) == 1
    assert await count_rows(system_pool, "ring_taps") == 0
    assert (await anonymous.get(good)).status_code == 200


async def test_people_get_a_small_page_that_names_nobody(hub: Running, ada, ring, anonymous):
    url = link(ring, 1)
    recorded = await anonymous.get(url, headers={"Accept": "text/html,*/*;q=0.8"})
    async with hub.client() as other:
        used = await other.get(url)
    refused = await anonymous.get("/t?picc_data=00")
    for answer, status in ((recorded, 200), (used, 409), (refused, 403)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        page = answer.text
        assert '<html lang="en">' in page
        assert re.search(r"<title>[^<]+</title>", page)
        assert len(re.findall("<h1>", page)) == 1
        assert not re.search(r"(src|href)=|url\(|<script", page)
        for secret in ("Ada", "Lovelace", "A ring", str(ada.id), str(ring.id)):
            assert secret not in page


async def test_a_signed_in_client_needs_no_token_and_gains_none(ring: NewRing, hub: Running):
    async with hub.client(authorization="Bearer nonsense") as client:
        assert (await client.get(link(ring, 1))).status_code == 200
