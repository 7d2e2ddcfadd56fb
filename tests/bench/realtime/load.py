"""The load generator (load.c) as Python sees it: how a server is spoken to, and a run of it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import msgspec

CHANNEL = "9999999"
"""Stands for the digits of a channel's number in a publication; load.c fills them in."""
PAYLOAD = (
    b'{"n":"#888888888888@7777777777777777","pad":"' + b"x" * 81 + b'"}'  # number in channel, time
)
_HERE = Path(__file__).parent
_ANSWER_SECONDS = 120.0

assert len(PAYLOAD) == 128


class Plan(msgspec.Struct, kw_only=True):
    """How a server is spoken to.

    `$c`, `$n`, `$t`, `$e`, `$o` in `request` and the dialogs stand for channel, connection, token,
    epoch and offset. A dialog's steps are ("send", text) or ("wait", part of the answer).
    """

    request: str
    dialog: list[tuple[str, str]] = []
    again: list[tuple[str, str]] = []
    ping: str = ""
    pong: str = ""
    publication: bytes
    """The bytes that publish PAYLOAD in channel CHANNEL."""
    publishes_by_http: bool = False
    headers: list[str] = []


def compiled(name: str, folder: Path) -> Path:
    """Return a program of this folder, compiled into `folder`; RuntimeError without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("no C compiler: install one (Debian: apt-get install gcc libc6-dev)")
    program = folder / name
    command = [compiler, "-O2", "-o", str(program), str(_HERE / f"{name}.c")]
    subprocess.run(command, check=True)
    return program


def write_plan(
    plan: Plan,
    folder: Path,
    *,
    server_port: int,
    redis_port: int,
    channels: int,
    tokens: list[str],
    receive_buffer: int = 0,
) -> Path:
    """Write a plan as load.c reads it."""
    (folder / "publication").write_bytes(plan.publication)
    (folder / "tokens").write_text("\n".join(tokens))
    lines = [
        f"server_port {server_port}",
        f"publish_port {server_port if plan.publishes_by_http else redis_port}",
        f"channels {channels}",
        f"receive_buffer {receive_buffer}",
        f"publication {folder / 'publication'}",
        f"tokens {folder / 'tokens'}",
        f"request GET {plan.request} HTTP/1.1",
        f"request Host: 127.0.0.1:{server_port}",
        "request Connection: Upgrade",
        "request Upgrade: websocket",
        "request Sec-WebSocket-Version: 13",
        "request Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"request {header}" for header in plan.headers),
        *(f"{kind} {text}" for kind, text in plan.dialog),
        *(f"again_{kind} {text}" for kind, text in plan.again),
        *([f"ping {plan.ping}", f"pong {plan.pong}"] if plan.ping else []),
    ]
    (folder / "plan").write_text("\n".join(lines))
    return folder / "plan"


class LostError(Exception):
    """A delivery was lost, doubled or swapped, or a connection failed."""


class Load:
    """A running load generator; `ask` raises LostError unless every delivery was counted."""

    def __init__(self, name: str, program: Path, plan: Path, core: int) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [str(program), str(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509  # no threads here
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Reset all connections."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for its figures."""
        self.tell(command)
        return self.answer()

    def tell(self, command: str) -> None:
        """Give a command; its figures come by `answer`, in the order in which commands end."""
        assert self._process.stdin
        self._process.stdin.write(command + "\n")

    def answer(self) -> dict[str, Any]:
        """Wait for the figures of the command that ends next."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise LostError(f"{self._name}: the load generator gave up")
        figures = json.loads(line)
        if figures.get("errors") or figures.get("missing"):
            raise LostError(f"{self._name}: {line.strip()}")
        return figures
