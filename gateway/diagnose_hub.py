"""The way to the hub, looked at while no gateway runs: certificate, then broker."""

import threading
from pathlib import Path
from typing import Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from core import clock
from core.config import Settings
from core.ids import new_id
from gateway import identity, refusals
from gateway.access import Access
from gateway.credentials import Credentials, Faults
from gateway.finding import Finding
from gateway.identity import Validity

MQTT_SECONDS: Final = 5.0
DAY_MS: Final = 24 * 3600 * 1000
_CLAIM: Final = "`pinghub gateway claim CODE --hub URL` gives it a certificate"


def certificate(folder: Path | None) -> Finding:
    """Return how the gateway's certificate does; None: it has a login."""
    if folder is None:
        return Finding("identity", ok=True, detail=f"the login of gateway.mqtt_url; {_CLAIM}")
    validity = identity.validity(folder / identity.CERTIFICATE)
    now_ms = clock.unix_ms()
    if validity.not_before_ms <= now_ms < validity.not_after_ms:
        days = (validity.not_after_ms - now_ms) // DAY_MS
        asked = identity.held(folder, "renewing")
        more = "" if asked == "nothing" else f"; its successor: {asked}"
        return Finding("identity", ok=True, detail=f"certificate, {days} days left{more}")
    problem = refusals.refused(validity, now_ms)
    return Finding("identity", ok=False, detail=problem, remedy=refusals.REMEDIES[problem])


def broker(access: Access, settings: Settings) -> Finding:
    """Return whether the broker takes this gateway."""
    version = settings.gateway.mqtt_version
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        # A name of its own: the gateway's would end a running gateway's session.
        client_id=f"diagnose-{new_id()}",
        protocol=MQTTProtocolVersion.MQTTv5 if version == "5" else MQTTProtocolVersion.MQTTv311,
    )
    validity = _prepare(client, access)
    faults = Faults()
    client.enable_logger(faults.logger)
    ended = threading.Event()
    answers: list[ReasonCode] = []

    def on_connect(*arguments: object) -> None:
        answers.extend(item for item in arguments if isinstance(item, ReasonCode))
        ended.set()

    def on_disconnect(*_: object) -> None:
        ended.set()

    client.on_connect = on_connect
    client.on_disconnect = on_disconnect
    place = f"{access.address.host}:{access.address.port}"
    try:
        client.connect(access.address.host, access.address.port, 10)
        client.loop_start()
        ended.wait(MQTT_SECONDS)
        client.disconnect()
        client.loop_stop()
    except OSError as error:
        return _refused(place, error, validity)
    if not answers:
        if faults.last is not None:
            return _refused(place, faults.last, validity)
        return Finding(
            "mqtt",
            ok=False,
            detail=f"{place} does not answer as MQTT {version}",
            remedy="set gateway.mqtt_version to what the broker speaks",
        )
    if answers[0].is_failure:
        remedy = "check the login" if validity is None else refusals.REMEDIES["certificate_refused"]
        return Finding("mqtt", ok=False, detail=f"{place}: {answers[0]}", remedy=remedy)
    return Finding("mqtt", ok=True, detail=f"{place} accepts {access.gateway}")


def _prepare(client: paho.Client, access: Access) -> Validity | None:
    """Let the client log in as the gateway does; return the validity of its certificate."""
    if access.identity_path is not None:
        credentials = Credentials(access.identity_path)
        client.tls_set_context(credentials.fresh_context())
        credentials.show()
        return credentials.validity
    client.username_pw_set(access.address.username, access.address.password or None)
    if access.address.tls:
        client.tls_set()
    return None


def _refused(place: str, error: BaseException | None, validity: Validity | None) -> Finding:
    problem = refusals.problem_of(error, validity, clock.unix_ms())
    detail = f"{place}: {error if problem == 'unreachable' else problem}"
    remedy = refusals.REMEDIES.get(problem, "is that port MQTT over TLS? Check the address")
    return Finding("mqtt", ok=False, detail=detail, remedy=remedy)
