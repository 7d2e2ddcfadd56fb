"""Calls of the hub: answered once each, whatever is called."""

import asyncio
from typing import Any

import pytest

from core import edge
from core.edge import RpcReply, RpcRequest
from gateway import rpc
from gateway.rpc import Rpc, RpcError


def call(number: int = 1, **arguments: Any) -> bytes:
    return edge.encode(RpcRequest(id=b"%d" % number, args=arguments))


async def echo(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


async def test_a_call_is_answered_with_its_result():
    assert await Rpc({"echo": echo}).answer("echo", call(7, a=1)) == RpcReply(
        id=b"7", result={"a": 1}
    )


async def test_a_repeated_call_is_done_once_and_answered_alike():
    calls: list[Any] = []
    begun = asyncio.Event()

    async def slow(arguments: dict[str, Any]) -> dict[str, Any]:
        calls.append(arguments)
        await begun.wait()
        return {"calls": len(calls)}

    served = Rpc({"slow": slow})
    first, second = (asyncio.create_task(served.answer("slow", call())) for _ in range(2))
    await asyncio.sleep(0)
    begun.set()
    assert await first == await second == await served.answer("slow", call())
    assert len(calls) == 1


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"\xa0", b"\xa1bid\x40", b"\xa1bid\x581" + bytes(49)]
)
async def test_what_names_no_call_has_no_answer(payload):
    assert await Rpc({"echo": echo}).answer("echo", payload) is None


async def test_every_failure_has_a_code(monkeypatch):
    monkeypatch.setattr(rpc, "CALL_SECONDS", 0.01)

    async def refuse(_: object) -> dict[str, Any]:
        raise RpcError("not_connected")

    async def fail(_: object) -> dict[str, Any]:
        raise ValueError("secret detail")

    async def hang(_: object) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    served = Rpc({"refuse": refuse, "fail": fail, "hang": hang})
    codes = {}
    for number, method in enumerate(("refuse", "fail", "hang", "format_disk")):
        reply = await served.answer(method, call(number))
        assert reply is not None
        assert reply.result == {}
        codes[method] = reply.code
    assert codes == {
        "refuse": "not_connected",
        "fail": "failed",
        "hang": "timeout",
        "format_disk": "unknown_method",
    }


async def test_too_many_calls_at_once_are_told_to_come_again():
    release = asyncio.Event()

    async def hang(_: object) -> dict[str, Any]:
        await release.wait()
        return {}

    served = Rpc({"hang": hang})
    running = [asyncio.create_task(served.answer("hang", call(n))) for n in range(rpc.CALLS_MAX)]
    await asyncio.sleep(0)
    busy = await served.answer("hang", call(99))
    assert busy is not None
    assert busy.code == "busy"
    release.set()
    assert {reply.code for reply in await asyncio.gather(*running) if reply} == {""}
    again = await served.answer("hang", call(99))
    assert again is not None
    assert again.code == ""
