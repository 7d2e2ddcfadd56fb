"""`pinghub pki …` as an operator runs it."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
import pytest_asyncio
from cryptography import x509

from core import authority as ca
from core import config
from core.db import Pool
from hub import cli
from tests.fixtures.gateway_identity import PKI, claimed
from tests.fixtures.postgres import Database
from tests.fixtures.requests import new_key
from tests.fixtures.world import World

Run = Callable[..., "Done"]


class Done(NamedTuple):
    """What a command left behind."""

    returncode: object
    stdout: str
    stderr: str


@pytest.fixture
def pinghub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run the command in a home of its own, in this process: a new one starts for a second."""

    def run(*arguments: str, **settings: str) -> Done:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {**kept, "PINGHUB_HOME": str(tmp_path / "home"), **settings}
        monkeypatch.setattr(sys, "argv", ["pinghub", "pki", *arguments])
        patched = mock.patch.dict(os.environ, environment, clear=True)
        with patched, pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Done(ended.value.code or 0, said.out, said.err)

    return run


@pytest_asyncio.fixture
async def replaced(api_pool: Pool, system_pool: Pool, world: World) -> None:
    """Let one device claim a gateway, and another one after it."""
    await claimed(api_pool, system_pool, world, new_key())
    await claimed(api_pool, system_pool, world, new_key())


def settings_of(database: Database) -> dict[str, str]:
    return {
        "PINGHUB_PKI__CA_KEY": PKI.ca_key,
        "PINGHUB_PKI__CA_CERTIFICATE": PKI.ca_certificate,
        "DATABASE_SYSTEM_URL": database.system_url,
    }


def test_an_operator_makes_an_authority_and_a_certificate_for_the_broker(
    pinghub: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "pki"
    made = pinghub("init", str(folder), "--name", "Example gateways", "--years", "3", "--json")
    assert made.returncode == 0, made.stderr
    assert "PRIVATE KEY" not in made.stdout
    toml = Path(json.loads(made.stdout)["settings"])
    assert toml.stat().st_mode & 0o777 == 0o600
    pki = config.load({"PINGHUB_CONFIG": str(toml), "PINGHUB_HOME": str(tmp_path / "home")}).pki
    authority = ca.load(pki.ca_key, pki.ca_certificate)
    assert authority.certificate.subject.rfc4514_string() == "CN=Example gateways"
    assert (folder / "ca.pem").read_text() == pki.ca_certificate
    again = pinghub("init", str(folder))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert (folder / "ca.pem").read_text() == pki.ca_certificate

    names = ("mqtt.example.com", "203.0.113.7")
    broker = pinghub("server", str(folder), *names, PINGHUB_CONFIG=str(toml))
    assert broker.returncode == 0, broker.stderr
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    certificate.verify_directly_issued_by(authority.certificate)
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["mqtt.example.com"]
    assert [str(item) for item in found.get_values_for_type(x509.IPAddress)] == ["203.0.113.7"]
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("arguments", [("server", "x"), ("server", "x", "bücher.example")])
def test_a_broker_needs_a_name_that_a_certificate_can_hold(
    pinghub: Run, database: Database, arguments: tuple[str, ...]
) -> None:
    done = pinghub(*arguments, **settings_of(database))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["show", "crl"])
def test_without_an_authority_commands_say_how_to_get_one(pinghub: Run, command: str) -> None:
    done = pinghub(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pinghub pki init" in done.stderr


@pytest.mark.usefixtures("replaced")
def test_the_authority_and_the_certificates_are_shown(database: Database, pinghub: Run) -> None:
    done = pinghub("show", "--json", **settings_of(database))
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["authority"]["days_left"] in {3648, 3649}
    assert found["certificates"] == {
        "valid": 1,
        "ends_within_week": 0,
        "ended": 0,
        "superseded": 0,
        "revoked": 1,
    }
    text = pinghub("show", **settings_of(database)).stdout
    assert "1 valid" in text
    assert "PRIVATE" not in text


def test_without_a_database_the_authority_is_shown_all_the_same(
    pinghub: Run, database: Database
) -> None:
    settings = settings_of(database) | {"DATABASE_SYSTEM_URL": ""}
    done = pinghub("show", **settings)
    assert done.returncode == 0
    assert "unknown" in done.stdout


@pytest.mark.usefixtures("replaced")
def test_the_list_is_written_where_the_broker_reads_it(
    database: Database, pinghub: Run, tmp_path: Path
) -> None:
    path = tmp_path / "crl.pem"
    done = pinghub("crl", PINGHUB_PKI__CRL_PATH=str(path), **settings_of(database))
    assert done.returncode == 0, done.stderr
    assert "1 revoked" in done.stdout
    assert len(list(x509.load_pem_x509_crl(path.read_bytes()))) == 1
    refused = pinghub("crl", "/proc/no/crl.pem", **settings_of(database))
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr
