"""`pinghub gateway`: run the edge daemon, look at a running one, find out what is wrong."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core import clock, config, log
from core.errors import ConfigError
from gateway.health import Health, read_status
from gateway.paths import identity_path, status_path

if TYPE_CHECKING:
    from gateway.claim import Claimed

DAY_MS: Final = 24 * 3600 * 1000

Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON document.")]

app = App(
    name="gateway",
    help="The edge daemon beside the rings.",
    group_commands=Group("Commands"),
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub gateway claim ABCD-EFGH-JKMN-PQRS --hub https://hub.example.com`  make this"
        " machine a gateway\n\n"
        "- `PINGHUB_GATEWAY__BLE_BACKEND=bluez:hci1 pinghub gateway run`  carry taps, on the second"
        " adapter\n\n"
        "- `pinghub gateway status --json | jq .spool`  how a running one does, for scripts\n\n"
        "- `pinghub gateway diagnose`  what is wrong, and what to do"
    ),
    help_format="markdown",
)


@app.command
def run() -> None:
    """Carry taps from the rings in reach to the hub, until SIGTERM or Ctrl-C."""
    # Threads come and go: two arenas keep the memory small.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    # In the same process, but without the command line's libraries: it is to be small for a year.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "gateway"])  # noqa: S606  # no shell is meant


@app.command(
    help_epilogue=(
        "Example: `pinghub gateway claim ABCD-EFGH-JKMN-PQRS --hub https://hub.example.com`\n\n"
        "Exit codes: 1 the hub refuses the code, 2 a wrong address or folder, 3 this machine is a"
        " gateway already, 4 no hub answers, 5 TLS or the clock. Each may be repeated."
    ),
)
def claim(
    code: str,
    /,
    *,
    hub: str,
    force: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> None:
    """Become the gateway that a claim code stands for: make a key, fetch a certificate.

    Args:
        code: As the hub shows it once, when its owner makes a gateway.
        hub: The hub's address, https://… (http:// on this machine only).
        force: Give up the identity that this machine has.
        as_json: One JSON document.
    """
    settings = config.load()
    claimed = _claim(identity_path(settings), code, hub, force=force, as_json=as_json)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if as_json:
        print(msgspec.json.encode(claimed).decode())  # noqa: T201  # a command's output
        return
    days = (claimed.expires_ms - clock.unix_ms()) // DAY_MS
    console.print(f"This machine is gateway {claimed.gateway_id} of {claimed.hub_url}.")
    console.print(f"Its certificate holds {days} days and renews itself; it is in")
    console.print(f"{claimed.identity_path}, readable by this user alone.")
    is_running = read_status(status_path(settings)) is not None
    console.print("Restart the gateway." if is_running else "`pinghub gateway run` starts it.")


def _claim(folder: Path, code: str, hub: str, *, force: bool, as_json: bool) -> "Claimed":
    from gateway import claim as claims  # noqa: PLC0415  # needs more libraries than the others

    try:
        return claims.claim(folder, code, hub, force=force)
    except claims.ClaimError as error:
        if as_json:
            told = {"error": error.problem, "detail": error.detail, "remedy": error.remedy}
            print(msgspec.json.encode(told).decode())  # noqa: T201  # a command's output
        else:
            console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
            console.print(f"pinghub: {error}\n{error.remedy}")
        sys.exit(error.exit_code)


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub gateway simulate --rings 5 --taps-per-minute 30 --encrypted --hub"
        " http://127.0.0.1:8000 --claim ABCD-EFGH-JKMN-PQRS`  claimed at a hub; later without"
        " --claim\n\n"
        "- `pinghub gateway simulate --rings 1 --mqtt mqtt://gw-1:password@127.0.0.1:1883`  at any"
        " broker"
    ),
)
def simulate(
    *,
    rings: Annotated[int, Parameter(validator=Number(gte=1, lte=100))] = 5,
    taps_per_minute: Annotated[float, Parameter(validator=Number(gte=0, lte=6000))] = 30,
    encrypted: Annotated[bool, Parameter(negative="")] = False,
    hub: str = "",
    claim: str = "",
    mqtt: str = "",
    rings_file: Path | None = None,
    folder: Path | None = None,
) -> None:
    """Run a gateway with virtual rings that are tapped in turn, until SIGTERM or Ctrl-C.

    Args:
        rings: How many.
        taps_per_minute: Of all of them together; 0: only by the control port that the log names.
        encrypted: Rings that demand pairing, as real ones do.
        hub: The hub's address, with --claim.
        claim: A claim code, for the first time at a hub.
        mqtt: A broker and a login, instead of a claim: mqtt://gateway:password@host:port.
        rings_file: Rings that the hub knows, as `pinghub db seed` writes them; else new ones.
        folder: Where everything is kept; default: `simulated-gateway` in the home.
    """
    if bool(claim) != bool(hub):
        raise ConfigError("--hub and --claim go together; neither is needed after the first time")
    settings = config.load()
    log.configure(settings.log.level, settings.log.style)
    place = folder or config.home() / "simulated-gateway"
    if claim:
        _claim(place / "identity", claim, hub, force=False, as_json=False)
    try:
        from gateway import simulate as simulation  # noqa: PLC0415  # needs the extra `edge`
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing: run `make install`") from None
    plan = simulation.Plan(
        folder=place,
        rings=rings,
        taps_per_minute=taps_per_minute,
        encrypted=encrypted,
        rings_file=rings_file,
        mqtt_url=mqtt,
    )
    sys.exit(asyncio.run(simulation.run(simulation.settings_of(settings, plan), plan)))


@app.command
def status(*, as_json: Json = False) -> None:
    """Show how the gateway on this machine does; exit code 1 when none runs."""
    health = read_status(status_path(config.load()))
    if as_json:
        print(msgspec.json.encode(health).decode())  # noqa: T201  # a command's output
    elif health is None:
        Console().print("No gateway runs here: `pinghub gateway run` starts one.")
    else:
        _show(health)
    sys.exit(0 if health else 1)


@app.command
def diagnose(*, as_json: Json = False) -> None:
    """Check settings, disk, spool, broker and Bluetooth; exit code 1 when something is wrong."""
    from gateway.diagnose import diagnose as findings_of  # noqa: PLC0415  # same

    findings = list(findings_of(config.load()))
    if as_json:
        print(msgspec.json.encode(findings).decode())  # noqa: T201  # a command's output
    else:
        table = Table("", "check", "found", "what to do", box=None, pad_edge=False)
        for finding in findings:
            # As Text: an error such as "[Errno 2]" is no markup.
            mark = Text("ok", "green") if finding.ok else Text("FAIL", "red")
            remedy = "" if finding.ok else finding.remedy
            table.add_row(mark, Text(finding.check), Text(finding.detail), Text(remedy))
        Console().print(table)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


def _identity(health: Health) -> str:
    if health.certificate_expires_ms is None:
        return "login of gateway.mqtt_url"
    days = (health.certificate_expires_ms - clock.unix_ms()) // DAY_MS
    left = f"certificate, {days} days left" if days >= 0 else "certificate, ENDED"
    renewal = f", renewal: {health.renewal}" if health.renewal not in ("", "fresh") else ""
    problem = f", PROBLEM: {health.certificate_problem}" if health.certificate_problem else ""
    return left + renewal + problem


def _show(health: Health) -> None:
    spool = health.spool
    age = f", oldest {(clock.unix_ms() - spool.oldest_ms) // 1000} s" if spool.oldest_ms else ""
    uplink = "up" if health.mqtt_up else f"DOWN: {health.mqtt_problem}"
    failing = f", FAILING: {spool.failing}" if spool.failing else ""
    alarm = f", ALARM: {health.delivery_alarm}" if health.delivery_alarm else ""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"gateway  {health.gateway}, pid {health.pid}, up {health.uptime_s} s")
    console.print(f"mqtt     {uplink}, connected {health.mqtt_connects} times")
    console.print(f"identity {_identity(health)}")
    console.print(
        f"spool    {spool.pending} pending, {spool.sent} sent{age},"
        f" {spool.quarantined} quarantined, {spool.dropped} dropped{failing}"
    )
    console.print(
        f"delivery {health.acknowledged} acknowledged, {health.window} waiting,"
        f" {health.resends} resent, {health.held} held{alarm}"
    )
    for reader in health.readers:
        state = "up" if reader.up else f"DOWN: {reader.problem}"
        console.print(
            f"nfc      {reader.reader}: {state}, {reader.reads} reads, {reader.unread} tags unread"
        )
    for adapter in health.adapters:
        radio = "scanning" if adapter.scanning else f"DOWN: {adapter.problem}"
        console.print(
            f"radio    {adapter.adapter}: {radio}, {adapter.links} links,"
            f" opened {adapter.openings} times, {adapter.power_cycles} power cycles"
        )
    console.print(f"rings    {health.waiting} waiting, {health.malformed} malformed records")
    table = Table("ring", "link", "rssi", "last problem", box=None, pad_edge=False)
    for ring in health.rings:
        strength = "" if ring.rssi is None else str(ring.rssi)
        table.add_row(ring.ring or "?", ring.state, strength, Text(ring.reason))
    console.print(table)
