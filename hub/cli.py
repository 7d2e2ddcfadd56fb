"""The command `pinghub`: names of commands and where they live; each is imported when it is called.

Exit codes: 0 done, 1 refused or failed, 2 a setting is missing or wrong.
"""

import gc
import importlib
import json
import os
import sys
from typing import Annotated, Final, NoReturn

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

import core.log
from core import config, config_shown
from core.errors import CATALOGUE, ConfigError, DomainError

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 2

_DAILY = Group("Every day", sort_key=0)
_PROCESSES = Group("Processes of the hub (`up` starts them all)", sort_key=1)
_EDGE = Group("Beside the rings", sort_key=2)
_UPKEEP = Group("Upkeep", sort_key=3)

app = App(
    name="pinghub",
    help="Carries a ring's tap to every subscribed app.",
    help_epilogue=(
        "Settings come from pinghub.toml and from PINGHUB_SECTION__KEY in the environment;"
        " see `pinghub config`.\n\n"
        "Examples:\n\n"
        "- `pinghub up`  everything on this machine, with demo data and virtual rings\n\n"
        "- `pinghub doctor --json`  what is reachable, for scripts\n\n"
        "- `DATABASE_URL=postgresql://… pinghub serve`  one process with your own services"
    ),
    help_format="markdown",
    group_commands=_UPKEEP,
)
app["--help"].group = app["--version"].group = Group("Options", sort_key=9)

app.command(
    "hub.processes.up:up", group=_DAILY, help="Start everything on this machine; Ctrl-C stops it."
)
app.command(
    "hub.processes.watch:watch", group=_DAILY, help="Print one line per tap and message, live."
)
app.command(
    "hub.processes.doctor:doctor", group=_DAILY, help="Check every dependency and say what to do."
)
app.command(
    "hub.processes.realtime:realtime",
    group=_DAILY,
    help="Serve the realtime layer alone, from a Centrifugo configuration.",
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub realtime --config config.json`  on 127.0.0.1:8000, everything in memory\n\n"
        "- `pinghub realtime --config config.json --broker redis://127.0.0.1:6379`  one of many\n\n"
        "- `pinghub realtime --echo`  for a conformance suite, at /autobahn"
    ),
)
app.command("gateway.cli:app", name="gateway", group=_EDGE, help="The edge daemon.")
app.command("firmware_bridge.cli:app", name="ring", group=_EDGE, help="Virtual rings, ring bytes.")
app.command("hub.processes.edge:app", name="edge", help="Gateways, as the operator sees them.")
app.command(
    "hub.processes.api_keys:app", name="api-key", help="API keys of users and service accounts."
)
app.command("hub.processes.users:app", name="users", help="People's roles and subscriptions.")
app.command(
    "hub.processes.flags:app", name="flags", help="Feature flags, and for whom they are on."
)
app.command(
    "hub.processes.imports:app",
    name="imports",
    help="Files on their way into people's address books.",
)
app.command("hub.processes.db:app", name="db", help="The database: schema, demo data, dumps.")
app.command("hub.processes.pki:app", name="pki", help="The certificate authority of gateways.")
app.command("hub.processes.keys:app", name="keys", help="Keys at rest and their rotation.")


@app.command(
    group=_PROCESSES,
    help_epilogue=(
        "Examples:\n\n"
        "- `DATABASE_URL=postgresql://… pinghub serve`  one process with your own services\n\n"
        "- `PINGHUB_METRICS__PORT=9100 pinghub serve --workers 4`  four on one port, their figures"
        " at 9100 to 9103"
    ),
)
def serve(*, workers: Annotated[int, Parameter(validator=Number(gte=1))] = 1) -> None:
    """Serve REST, realtime and console.

    Args:
        workers: Processes that share the port; each serves its figures at `metrics.port` + 0, 1 …
    """
    if workers == 1:
        _run("serve")
    else:
        _run("workers", workers)


@app.command(group=_PROCESSES)
def ingest() -> None:
    """Carry taps from MQTT into PostgreSQL."""
    _run("ingest")


@app.command(group=_PROCESSES)
def relay() -> None:
    """Carry events from the outbox to Redis and to consumer tasks."""
    _run("relay")


@app.command(group=_PROCESSES)
def worker() -> None:
    """Run consumer tasks (Taskiq's own worker on hub.queue:create_broker)."""
    _run("worker")


@app.command(group=_PROCESSES)
def scheduler() -> None:
    """Kick periodic tasks (Taskiq's own scheduler on hub.queue:create_scheduler)."""
    _run("scheduler")


@app.command(name="config")
def show_config(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """Show the settings in force, secrets redacted."""
    sections = config_shown.shown(config.load())
    if as_json:
        print(json.dumps(sections, indent=2))  # noqa: T201  # a command's output
        return
    for section, values in sections.items():
        print(f"[{section}]")  # noqa: T201  # a command's output
        for name, value in values.items():
            print(f"{name} = {json.dumps(value)}")  # noqa: T201  # a command's output
        print()  # noqa: T201  # a command's output


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub key`  to paste into /console/realtime\n\n"
        """- `curl -H "X-API-Key: $(pinghub key)" -d '{}' http://127.0.0.1:8000/api/info`"""
        "  who is connected, over all processes"
    ),
)
def key() -> None:
    """Print the key of the server API and of /console/realtime: the first of realtime.api_keys."""
    first = next((item for item in config.load().realtime.api_keys.split(",") if item), "")
    if not first:
        raise ConfigError(
            "realtime.api_keys is not set: write a long random text there, or in the environment"
            " as PINGHUB_REALTIME__API_KEYS; `pinghub up` generates one"
        )
    print(first)  # noqa: T201  # a command's output


@app.command
def openapi() -> None:
    """Print the OpenAPI document of the REST interface as JSON."""
    create_app = importlib.import_module("hub.app").create_app
    document = create_app(config.load()).openapi_schema.to_schema()
    print(json.dumps(document, indent=2))  # noqa: T201  # a command's output


def _run(name: str, *arguments: object) -> None:
    settings = config.load()
    core.log.configure(settings.log.level, settings.log.style)
    # What is imported stays: to look through it for garbage costs a start its tenth, and a process
    # that serves a pause now and then.
    gc.disable()
    run = importlib.import_module(f"hub.processes.{name}").run
    gc.freeze()
    gc.enable()
    run(settings, *arguments)


def main() -> NoReturn:
    """Run the command line; expected failures are one line each, never a traceback."""
    try:
        app()
    except ConfigError as error:
        _fail(str(error), EXIT_CONFIG)
    except DomainError as error:
        _fail(f"{error.code}: {_hint(error)}", EXIT_FAILED)
    except BrokenPipeError:
        # The reader (`| head`) has left; the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _hint(error: DomainError) -> str:
    # The catalogue's own words are for HTTP: there is no Retry-After in a shell.
    if error.code == "service.unavailable" and error.detail == CATALOGUE[error.code].remedy:
        return "a service does not answer: `pinghub doctor` tells which"
    return error.detail


def _fail(message: str, code: int) -> NoReturn:
    print(f"pinghub: {message}", file=sys.stderr)  # noqa: T201  # a command's output
    sys.exit(code)


if __name__ == "__main__":
    main()
