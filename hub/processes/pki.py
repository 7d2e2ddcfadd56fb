"""`pinghub pki …`: the certificate authority of gateways, for operators."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number
from msgspec import structs

from core import authority as ca
from core import clock, config
from core.authority import Authority, AuthorityError
from core.config import Settings
from core.errors import ConfigError, DomainError
from hub.domains.certificates import service
from hub.embedded.generated import as_toml
from hub.embedded.private import owned_folder, write_private
from hub.processes.system_pool import read_once
from hub.providers import revocation_file
from hub.providers.authority import days_left, open_authority

app = App(
    name="pki",
    help="The certificate authority of gateways: make one, look at it, write its list of revoked"
    " certificates.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
AsJson = Annotated[bool, Parameter(name="--json", negative="")]

_NEXT_STEPS: Final = """\
{settings}   the [pki] table: append it to pinghub.toml of every hub process, keep a copy offline
{trusted}   for the MQTT broker: who its gateways' certificates come from
Next: set pki.gateway_mqtt_url, and `pinghub pki server {folder} HOST` for the broker's own."""


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub pki init ./pki`  makes ./pki/pki.toml and ./pki/ca.pem\n\n"
        '- `pinghub pki init ./pki --name "Example Ltd gateways" --years 10 --json`'
    )
)
def init(
    folder: Path,
    *,
    name: str = "Ping Hub gateways",
    years: Annotated[int, Parameter(validator=Number(gte=1, lte=50))] = 20,
    as_json: AsJson = False,
) -> None:
    """Make an authority for production, in files that are not there yet.

    Parameters
    ----------
    folder
        Where key and certificate go; the key is readable by its owner only and never printed.
    name
        How the authority is called in its certificate.
    years
        How long it lasts. Gateways trust it until they have renewed under another one.
    as_json
        Print what was made as JSON.
    """
    settings, trusted = folder / "pki.toml", folder / "ca.pem"
    _refuse_existing(settings, trusted)
    made = ca.create(name, now=clock.now(), years=years)
    section = {"ca_key": made.key, "ca_certificate": made.certificate}
    _write(folder, {settings: as_toml({"pki": section}), trusted: made.certificate})
    ends = ca.load(made.key, made.certificate).certificate.not_valid_after_utc
    found = {"settings": str(settings), "ca": str(trusted), "not_after": ends.isoformat()}
    _say(found, as_json, _NEXT_STEPS.format(settings=settings, trusted=trusted, folder=folder))


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub pki server ./pki mqtt.example.com`  for one name\n\n"
        "- `pinghub pki server ./pki mqtt.example.com 203.0.113.7 --days 90`  for an address too"
    )
)
def server(
    folder: Path,
    *names: str,
    days: Annotated[int, Parameter(validator=Number(gte=1, lte=825))] = 397,
    as_json: AsJson = False,
) -> None:
    """Make key and certificate of the MQTT broker, signed by the authority of the settings.

    Parameters
    ----------
    folder
        Where server.key and server.pem go; they replace those of before.
    names
        DNS names and IP addresses of the broker, as pki.gateway_mqtt_url has them.
    days
        How long the certificate holds; make another one in time and let the broker reload.
    as_json
        Print what was made as JSON.
    """
    if not names:
        raise ConfigError("the broker has no name: `pinghub pki server ./pki mqtt.example.com`")
    authority = _authority(config.load())
    try:
        made = ca.issue_server(authority, names=names, now=clock.now(), days=days)
    except (AuthorityError, ValueError) as error:
        raise ConfigError(f"no certificate for {', '.join(names)}: {error}") from None
    key, certificate = folder / "server.key", folder / "server.pem"
    _write(folder, {key: made.key, certificate: made.certificate})
    found = {"key": str(key), "certificate": str(certificate), "names": names}
    _say(found, as_json, f"{key}\n{certificate}   for {', '.join(names)}, {days} days")


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub pki show`  how long authority and certificates hold\n\n"
        "- `pinghub pki show --json | jq .authority.days_left`  for a script"
    )
)
def show(*, as_json: AsJson = False) -> None:
    """Show the authority of the settings, and how many certificates there are of which kind."""
    settings = config.load()
    authority = _authority(settings)
    own = authority.certificate
    found: dict[str, Any] = {
        "authority": {
            "name": own.subject.rfc4514_string(),
            "fingerprint": own.fingerprint(SHA256()).hex(),
            "not_after": own.not_valid_after_utc.isoformat(),
            "days_left": int(days_left(authority)),
        },
        "gateway_mqtt_url": settings.pki.gateway_mqtt_url,
        "crl_path": settings.pki.crl_path,
        "certificates": None,
    }
    lines = [
        own.subject.rfc4514_string(),
        f"  ends          {own.not_valid_after_utc:%Y-%m-%d} ({int(days_left(authority))} days)",
        f"  fingerprint   {own.fingerprint(SHA256()).hex()}",
        f"  gateways at   {settings.pki.gateway_mqtt_url or 'nowhere: set pki.gateway_mqtt_url'}",
        f"  revoked in    {settings.pki.crl_path or 'no file: set pki.crl_path'}",
    ]
    try:
        figures = asyncio.run(read_once(settings, service.count_certificates))
    except (ConfigError, DomainError) as error:
        # The authority can be looked at where no database is.
        lines.append(f"certificates of gateways: unknown; {error}")
    else:
        found["certificates"] = structs.asdict(figures)
        lines.append(
            f"certificates of gateways: {figures.valid} valid ({figures.ends_within_week} end"
            f" within a week), {figures.ended} ended, {figures.superseded} superseded,"
            f" {figures.revoked} revoked"
        )
    _say(found, as_json, "\n".join(lines))


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub pki crl`  writes pki.crl_path anew, as the worker does each hour\n\n"
        "- `pinghub pki crl /etc/mosquitto/crl.pem --json`  another file, for a broker elsewhere"
    )
)
def crl(path: Path | None = None, *, as_json: AsJson = False) -> None:
    """Write the list of revoked certificates (CRL) for the MQTT broker.

    Parameters
    ----------
    path
        Where to; without it `pki.crl_path` of the settings.
    as_json
        Print what was written as JSON.
    """
    settings = config.load()
    authority = _authority(settings)
    target = path or Path(config.require(settings.pki.crl_path, "pki.crl_path"))
    revoked = asyncio.run(read_once(settings, service.list_revoked))
    content = service.write_revocation_list(authority, revoked, clock.now())
    try:
        is_written = revocation_file.replace(target, content, revoked.number)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror})") from None
    count = len(revoked.certificates)
    found = {"path": str(target), "revoked": count, "is_written": is_written}
    state = f"{count} revoked certificates" if is_written else "a newer list is there already"
    _say(found, as_json, f"{target}   {state}; a broker has to be told to read it (SIGHUP)")


def _authority(settings: Settings) -> Authority:
    authority = open_authority(settings.pki)
    if authority is None:
        raise ConfigError(
            "pki.ca_key is not set: `pinghub pki init` makes an authority, `pinghub up` its own"
        )
    return authority


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise ConfigError(
                f"{path} is there already: gateways trust that authority; name another folder"
            )


def _write(folder: Path, files: dict[Path, str]) -> None:
    try:
        owned_folder(folder)
        for path, content in files.items():
            write_private(path, content)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror})") from None


def _say(found: dict[str, Any], as_json: bool, text: str) -> None:
    print(json.dumps(found, indent=2) if as_json else text)  # noqa: T201  # a command's output
