"""The shipped configuration of docs/deploy/mosquitto, loaded by the real mosquitto."""

import ssl
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from core.ids import new_id
from tests.fixtures.authority import Authority, Identity
from tests.fixtures.mqtt_peer import RefusedError, connected, session_connect
from tests.fixtures.tls_mqtt import HUB_PASSWORD, TlsMosquitto
from tests.fixtures.waiting import wait_until

Start = Callable[..., TlsMosquitto]
HUB = ("hub", HUB_PASSWORD)
REFUSED = "Not authorized"
TAKEN = ("Success", "No matching subscribers")


@pytest.fixture
def broker(tls_mosquitto: TlsMosquitto) -> TlsMosquitto:
    return tls_mosquitto


@pytest.fixture(params=["plugin", "acl"])
def either(
    request: pytest.FixtureRequest, authority: Authority, start_tls_mosquitto: Start
) -> TlsMosquitto:
    """The shipped broker, and its variant with the ACL file."""
    return start_tls_mosquitto(authority, plugin=request.param == "plugin")


def admitted(broker: TlsMosquitto) -> Identity:
    identity = broker.issue(str(new_id()))
    if broker.has_plugin:
        broker.admit(identity.name)
    return identity


def as_hub(broker: TlsMosquitto):
    return connected(broker.hub_port, broker.authority.context(), login=HUB)


def as_gateway(broker: TlsMosquitto, identity: Identity, **options):
    return connected(broker.gateway_port, broker.authority.context(identity), **options)


def is_let_in(broker: TlsMosquitto, identity: Identity) -> bool:
    try:
        session_connect(broker.gateway_port, broker.authority.context(identity))
    except RefusedError:
        return False
    return True


def test_a_gateway_writes_its_own_subtree_and_is_told_that_it_may_not_write_others(either):
    mine, other = admitted(either), admitted(either)
    with as_hub(either) as hub, as_gateway(either, mine) as gateway:
        assert hub.subscribe("ping/v1/#") == "Granted QoS 1"
        assert gateway.publish(f"ping/v1/gw/{other.name}/state") == REFUSED
        assert gateway.publish(f"ping/v1/cmd/gw/{mine.name}/ack") == REFUSED
        assert gateway.publish(f"ping/v1/gw/{mine.name}/state") == "Success"
        # Only the third arrives; the order of one publisher's messages is kept.
        assert hub.next_topic() == f"ping/v1/gw/{mine.name}/state"


def test_a_gateway_hears_only_its_own_commands(either):
    mine, other = admitted(either), admitted(either)
    with as_hub(either) as hub, as_gateway(either, mine) as gateway:
        for topic_filter in (
            f"ping/v1/cmd/gw/{other.name}/#",
            "ping/v1/cmd/gw/+/ack",
            "ping/v1/gw/#",
            "$share/any/ping/v1/cmd/gw/+/#",
            "$CONTROL/#",
            "$SYS/#",
        ):
            reason = gateway.subscribe(topic_filter)
            assert reason == (REFUSED if either.has_plugin else "Granted QoS 1")
        assert gateway.subscribe(f"ping/v1/cmd/gw/{mine.name}/#") == "Granted QoS 1"
        hub.publish(f"ping/v1/cmd/gw/{other.name}/ack")
        hub.publish(f"ping/v1/gw/{other.name}/state")
        hub.publish(f"ping/v1/cmd/gw/{mine.name}/ack")
        assert gateway.next_topic() == f"ping/v1/cmd/gw/{mine.name}/ack"


def test_a_gateway_that_knows_the_hubs_group_cannot_join_it(broker):
    mine = admitted(broker)
    shared = "$share/hub-group/ping/v1/gw/+/ring/+/tap"
    with as_hub(broker) as hub, as_gateway(broker, mine) as gateway:
        assert hub.subscribe(shared) == "Granted QoS 1"
        assert gateway.subscribe(shared) == REFUSED
        assert gateway.subscribe(f"$share/hub-group/ping/v1/cmd/gw/{mine.name}/#") == REFUSED
        for number in range(10):
            gateway.publish(f"ping/v1/gw/{mine.name}/ring/{number}/tap")
        found = [hub.next_topic() for _ in range(10)]
        assert found == [f"ping/v1/gw/{mine.name}/ring/{number}/tap" for number in range(10)]


def test_a_gateway_cannot_command_the_plugin(broker):
    mine = admitted(broker)
    with as_gateway(broker, mine) as gateway:
        assert gateway.publish("$CONTROL/dynamic-security/v1", b'{"commands":[]}') == REFUSED


def test_a_genuine_certificate_of_nobody_we_admitted_may_do_nothing(broker):
    unknown = broker.issue(str(new_id()))
    will = f"ping/v1/gw/{unknown.name}/state"
    with as_hub(broker) as hub:
        hub.subscribe("ping/v1/#")
        with as_gateway(broker, unknown, will_topic=will) as gateway:
            assert gateway.publish(f"ping/v1/gw/{unknown.name}/state") == REFUSED
            assert gateway.subscribe(f"ping/v1/cmd/gw/{unknown.name}/#") == REFUSED
            assert gateway.subscribe("$share/hub-group/ping/v1/gw/+/ring/+/tap") == REFUSED
            gateway.client.socket().close()
        mine = admitted(broker)
        with as_gateway(broker, mine) as gateway:
            gateway.publish(f"ping/v1/gw/{mine.name}/state")
        assert hub.next_topic() == f"ping/v1/gw/{mine.name}/state"


def test_nobody_is_let_in_without_a_certificate_of_ours(either, tmp_path):
    stranger = Authority(tmp_path / "stranger").issue(str(new_id()))
    trusting = either.authority.context()
    with pytest.raises(RefusedError), connected(either.gateway_port, trusting):
        pass
    trusting.load_cert_chain(stranger.certificate_path, stranger.key_path)
    with pytest.raises(RefusedError), connected(either.gateway_port, trusting):
        pass
    old = either.authority.issue(str(new_id()), days=-1)
    with pytest.raises(RefusedError), as_gateway(either, old):
        pass


@pytest.mark.req("SEC-02")
@pytest.mark.parametrize("port", ["gateway_port", "hub_port"])
def test_tls_1_2_is_refused(broker, port):
    mine = admitted(broker)
    context = broker.authority.context(mine, version=ssl.TLSVersion.TLSv1_2)
    with (
        pytest.raises(RefusedError, match=r"(?i)protocol.version"),
        connected(getattr(broker, port), context, login=HUB),
    ):
        pass


def test_the_hubs_port_takes_no_certificate_for_a_login(either):
    mine = admitted(either)
    context = either.authority.context(mine)
    with pytest.raises(RefusedError, match=REFUSED), connected(either.hub_port, context):
        pass
    with (
        pytest.raises(RefusedError, match=REFUSED),
        connected(either.hub_port, context, login=(mine.name, "guess")),
    ):
        pass
    with (
        pytest.raises(RefusedError, match=REFUSED),
        connected(either.hub_port, context, login=("hub", "guess")),
    ):
        pass


def test_a_login_beside_the_certificate_counts_for_nothing(broker):
    mine, other = admitted(broker), admitted(broker)
    for login in (HUB, (other.name, "guess")):
        with as_gateway(broker, mine, login=login) as gateway:
            assert gateway.publish(f"ping/v1/gw/{other.name}/state") == REFUSED
            assert gateway.publish(f"ping/v1/gw/{mine.name}/state") in TAKEN


def test_nobody_takes_another_ones_connection_by_its_client_id(either):
    mine, other = admitted(either), admitted(either)
    with (
        as_gateway(either, other, client_id="a-known-name") as victim,
        as_gateway(either, mine, client_id="a-known-name"),
        as_gateway(either, mine, client_id=other.name),
    ):
        assert victim.publish(f"ping/v1/gw/{other.name}/state") in TAKEN
        assert victim.lost.empty()


def test_a_revoked_certificate_is_refused_once_the_list_is_read(either):
    mine, other = admitted(either), admitted(either)
    context = either.authority.context(mine)
    session, _ = session_connect(either.gateway_port, context)
    # Python offers what the broker gave; without this the last line would prove nothing.
    session, resumed = session_connect(either.gateway_port, context, session)
    assert resumed
    either.authority.revoke(mine)
    either.reload()

    wait_until(lambda: not is_let_in(either, mine), "the broker to read the list")
    with pytest.raises(RefusedError):
        session_connect(either.gateway_port, context, session)
    with as_gateway(either, other) as gateway:
        assert gateway.publish(f"ping/v1/gw/{other.name}/state") in TAKEN


def test_a_connection_outlives_the_revocation_of_its_certificate_until_the_hub_ends_it(broker):
    """Why the list alone would not do."""
    mine, another = admitted(broker), admitted(broker)
    with as_gateway(broker, mine) as gateway:
        broker.authority.revoke(mine)
        broker.authority.revoke(another)
        broker.reload()
        # Not tried with the first: who comes in by its certificate takes its place.
        wait_until(lambda: not is_let_in(broker, another), "the broker to read the list")
        assert gateway.publish(f"ping/v1/gw/{mine.name}/state") in TAKEN
        broker.expel(mine.name)
        assert gateway.wait_lost()


def test_what_waits_for_an_expelled_gateway_is_not_delivered_when_it_is_admitted_again(broker):
    mine = admitted(broker)
    with as_gateway(broker, mine, session_seconds=3600) as gateway:
        gateway.subscribe(f"ping/v1/cmd/gw/{mine.name}/#")
    broker.expel(mine.name)
    with as_hub(broker) as hub:
        hub.publish(f"ping/v1/cmd/gw/{mine.name}/config")
        broker.admit(mine.name)
        with as_gateway(broker, mine, session_seconds=3600) as gateway:
            hub.publish(f"ping/v1/cmd/gw/{mine.name}/after")
            assert gateway.next_topic() == f"ping/v1/cmd/gw/{mine.name}/after"


def test_a_list_that_is_out_of_date_keeps_everybody_out(broker):
    mine = admitted(broker)
    broker.authority.write_revocations(timedelta(days=-1))
    broker.restart()
    with pytest.raises(RefusedError), as_gateway(broker, mine):
        pass


def test_reading_certificates_again_ends_no_connection_and_keeps_what_waits(broker):
    mine, away = admitted(broker), admitted(broker)
    with as_gateway(broker, away, session_seconds=3600) as gateway:
        gateway.subscribe(f"ping/v1/cmd/gw/{away.name}/#")
    with as_hub(broker) as hub, as_gateway(broker, mine) as gateway:
        hub.subscribe("ping/v1/#")
        hub.publish(f"ping/v1/cmd/gw/{away.name}/config")
        hub.next_topic()
        broker.reload()
        for number in range(3):
            gateway.publish(f"ping/v1/gw/{mine.name}/{number}")
            assert hub.next_topic() == f"ping/v1/gw/{mine.name}/{number}"
        assert gateway.lost.empty()
        assert hub.lost.empty()
    with as_gateway(broker, away, session_seconds=3600) as gateway:
        assert gateway.next_topic() == f"ping/v1/cmd/gw/{away.name}/config"


def test_an_expelled_gateway_loses_its_connection_at_once_and_all_its_rights(broker):
    mine = admitted(broker)
    with as_gateway(broker, mine, will_topic=f"ping/v1/gw/{mine.name}/state") as gateway:
        began = time.monotonic()
        broker.expel(mine.name)
        assert gateway.wait_lost() == "Administrative action"
        assert time.monotonic() - began < 1
    with as_gateway(broker, mine) as gateway:
        assert gateway.publish(f"ping/v1/gw/{mine.name}/state") == REFUSED


def test_what_no_role_grants_is_forbidden(broker):
    [answer] = broker.command({"command": "getDefaultACLAccess"})
    allowed = {acl["acltype"] for acl in answer["data"]["acls"] if acl["allow"]}
    assert allowed == {"unsubscribe"}


def test_presence_and_what_waits_for_a_gateway_outlive_a_restart(either):
    mine = admitted(either)
    with as_gateway(either, mine, session_seconds=3600) as gateway:
        gateway.subscribe(f"ping/v1/cmd/gw/{mine.name}/#")
        gateway.publish(f"ping/v1/gw/{mine.name}/state", retain=True)
    with as_hub(either) as hub:
        hub.publish(f"ping/v1/cmd/gw/{mine.name}/config")
    either.restart()
    with as_hub(either) as hub:
        hub.subscribe("ping/v1/gw/+/state")
        assert hub.next_topic() == f"ping/v1/gw/{mine.name}/state"
    with as_gateway(either, mine, session_seconds=3600) as gateway:
        assert gateway.next_topic() == f"ping/v1/cmd/gw/{mine.name}/config"


def test_what_the_plugin_was_told_survives_sigkill(broker):
    mine, gone = admitted(broker), admitted(broker)
    broker.expel(gone.name)
    broker.kill()
    broker.restart()
    with as_gateway(broker, mine) as gateway:
        assert gateway.publish(f"ping/v1/gw/{mine.name}/state") != REFUSED
    with as_gateway(broker, gone) as gateway:
        assert gateway.publish(f"ping/v1/gw/{gone.name}/state") == REFUSED


def test_a_message_of_no_sane_size_reaches_nobody(either):
    mine = admitted(either)
    with as_hub(either) as hub:
        hub.subscribe("ping/v1/#")
        with as_gateway(either, mine) as gateway:
            gateway.client.publish(f"ping/v1/gw/{mine.name}/large", bytes(65_536), 0)
            assert gateway.wait_lost()
        with as_gateway(either, mine) as gateway:
            gateway.publish(f"ping/v1/gw/{mine.name}/state")
        assert hub.next_topic() == f"ping/v1/gw/{mine.name}/state"


def test_what_mqtt_5_says_beside_a_message_arrives_intact(either):
    mine = admitted(either)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = f"ping/v1/gw/{mine.name}/rsp"
    properties.CorrelationData = b"\x00\xffcall"
    properties.UserProperty = [("traceparent", "00-ab-cd-01"), ("traceparent", "again")]
    properties.ContentType = "application/cbor;v=1"
    properties.MessageExpiryInterval = 30
    with as_hub(either) as hub, as_gateway(either, mine) as gateway:
        gateway.subscribe(f"ping/v1/cmd/gw/{mine.name}/#")
        topic = f"ping/v1/cmd/gw/{mine.name}/rpc/identify"
        assert hub.publish(topic, b"\x00\xff", properties=properties) == "Success"
        found = gateway.next_message()
    said = found.properties
    assert said is not None
    assert found.payload == b"\x00\xff"
    assert said.ResponseTopic == properties.ResponseTopic
    assert said.CorrelationData == properties.CorrelationData
    assert said.UserProperty == properties.UserProperty
    assert said.ContentType == properties.ContentType
    assert 0 < said.MessageExpiryInterval <= 30
