"""The plugin of the real mosquitto, told which gateways there are."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest

from core.errors import DomainError
from core.ids import new_id
from hub.providers import dynamic_security
from hub.providers.dynamic_security import (
    Acl,
    Client,
    CommandError,
    CreateClient,
    CreateRole,
    DeleteRole,
    Difference,
    ModifyClient,
    Role,
    RoleName,
    admission,
    compare,
    gateway_acls,
)
from hub.providers.mqtt_sender import MqttSender
from tests.fixtures.authority import Authority, Identity
from tests.fixtures.mqtt_peer import Peer, connected
from tests.fixtures.tls_mqtt import TlsMosquitto

REFUSED = "Not authorized"
TAKEN = ("Success", "No matching subscribers")


@pytest.fixture
async def sender(tls_mosquitto: TlsMosquitto) -> AsyncIterator[MqttSender]:
    found = MqttSender(tls_mosquitto.settings())
    yield found
    await found.close()


def gateway(broker: TlsMosquitto) -> tuple[UUID, Identity]:
    gateway_id = new_id()
    return gateway_id, broker.authority.issue(str(gateway_id))


def speaks(peer: Peer, gateway_id: UUID) -> str:
    return peer.publish(f"ping/v1/gw/{gateway_id}/state")


def reads(*answers: set[UUID]):
    """The database as it is asked once and again; the last answer stays."""
    left = list(answers)

    async def read() -> set[UUID]:
        return left.pop(0) if len(left) > 1 else left[0]

    return read


def as_gateway(broker: TlsMosquitto, identity: Identity):
    return connected(broker.gateway_port, broker.authority.context(identity))


async def test_an_admitted_gateway_may_speak_and_hear_and_an_expelled_one_may_not(
    tls_mosquitto, sender
):
    mine, identity = gateway(tls_mosquitto)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) == REFUSED
        await dynamic_security.admit(sender, [str(mine)])
        # It has to come again, so that what was refused is tried anew.
        assert peer.wait_lost()
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) in TAKEN
        assert peer.subscribe(f"ping/v1/cmd/gw/{mine}/#") == "Granted QoS 1"
        await dynamic_security.expel(sender, [str(mine)])
        assert peer.wait_lost(1) == "Administrative action"
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) == REFUSED
        assert peer.subscribe(f"ping/v1/cmd/gw/{mine}/#") == REFUSED


async def test_to_admit_and_to_expel_again_is_harmless(tls_mosquitto, sender):
    mine, identity = gateway(tls_mosquitto)
    for _ in range(2):
        await dynamic_security.admit(sender, [str(mine)])
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) in TAKEN
    for _ in range(2):
        await dynamic_security.expel(sender, [str(mine)])
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) == REFUSED


async def test_to_admit_replaces_rights_that_were_wrong(tls_mosquitto, sender):
    mine, identity = gateway(tls_mosquitto)
    everything = [Acl("publishClientSend", "#")]
    await dynamic_security.execute(
        sender,
        [
            CreateRole(f"gateway-{mine}", everything),
            CreateRole("gateway-other", everything),
            CreateClient(str(mine), [RoleName("gateway-other")]),
        ],
    )
    await dynamic_security.admit(sender, [str(mine)])
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, new_id()) == REFUSED
        assert speaks(peer, mine) in TAKEN


async def test_to_expel_ends_also_the_connection_of_one_that_the_plugin_does_not_know(
    tls_mosquitto, sender
):
    mine, identity = gateway(tls_mosquitto)
    with as_gateway(tls_mosquitto, identity) as peer:
        await dynamic_security.expel(sender, [str(mine)])
        assert peer.wait_lost(1)


async def test_the_broker_comes_to_have_exactly_our_gateways(tls_mosquitto, sender):
    kept, missing, damaged, gone = (gateway(tls_mosquitto) for _ in range(4))
    await dynamic_security.admit(sender, [str(item[0]) for item in (kept, damaged, gone)])
    await dynamic_security.execute(sender, [ModifyClient(str(damaged[0]), [])])
    await dynamic_security.execute(sender, [CreateClient("operator")])
    ours = reads({kept[0], missing[0], damaged[0]})
    with as_gateway(tls_mosquitto, kept[1]) as undisturbed:
        difference = await dynamic_security.reconcile(sender, ours)
        assert speaks(undisturbed, kept[0]) in TAKEN
    assert difference == Difference((str(missing[0]),), (str(damaged[0]),), (str(gone[0]),))
    for mine, identity in (kept, missing, damaged):
        with as_gateway(tls_mosquitto, identity) as peer:
            assert speaks(peer, mine) in TAKEN
    with as_gateway(tls_mosquitto, gone[1]) as peer:
        assert speaks(peer, gone[0]) == REFUSED
    again = await dynamic_security.reconcile(sender, ours)
    assert again == Difference()
    [answer] = tls_mosquitto.command({"command": "listClients"})
    assert {"hub", "operator"} <= set(answer["data"]["clients"])


async def test_one_that_is_revoked_while_it_is_admitted_does_not_stay(tls_mosquitto, sender):
    mine, identity = gateway(tls_mosquitto)
    await dynamic_security.reconcile(sender, reads({mine}, set()))
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) == REFUSED


async def test_one_that_is_claimed_while_the_broker_is_asked_is_left_alone(tls_mosquitto, sender):
    mine, identity = gateway(tls_mosquitto)

    async def read() -> set[UUID]:
        await dynamic_security.admit(sender, [str(mine)])
        return {mine}

    assert (await dynamic_security.reconcile(sender, read)).to_expel == ()
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) in TAKEN


async def test_more_gateways_than_a_page_or_a_message_holds_are_kept(tls_mosquitto, sender):
    wanted = {new_id() for _ in range(130)}
    assert len((await dynamic_security.reconcile(sender, reads(wanted))).to_admit) == 130
    assert await dynamic_security.reconcile(sender, reads(wanted)) == Difference()
    assert len((await dynamic_security.reconcile(sender, reads(set()))).to_expel) == 130


async def test_a_broker_that_lost_its_memory_is_told_again(tls_mosquitto, sender):
    mine, identity = gateway(tls_mosquitto)
    await dynamic_security.reconcile(sender, reads({mine}))
    tls_mosquitto.stop()
    tls_mosquitto.forget()
    tls_mosquitto.restart()
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) == REFUSED
    anew = MqttSender(tls_mosquitto.settings())
    try:
        difference = await dynamic_security.reconcile(anew, reads({mine}))
    finally:
        await anew.close()
    assert difference.to_admit == (str(mine),)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert speaks(peer, mine) in TAKEN


async def test_a_refused_command_is_an_error_that_names_it(sender):
    with pytest.raises(CommandError, match="createClient: Role not found"):
        await dynamic_security.execute(sender, [CreateClient("a", [RoleName("none")])])
    with pytest.raises(CommandError, match="modifyClient: Client not found"):
        await dynamic_security.execute(sender, [ModifyClient("nobody", [])])
    [answer] = await dynamic_security.execute(sender, [DeleteRole("none")])
    assert answer.error == "Role not found"


async def test_two_at_once_get_each_its_own_answers(tls_mosquitto, sender):
    other = MqttSender(tls_mosquitto.settings())
    try:
        answers = await asyncio.gather(
            *(
                dynamic_security.execute(one, [DeleteRole(f"{number}"), DeleteRole("x")][: 1 + at])
                for number in range(20)
                for at, one in enumerate((sender, other))
            )
        )
    finally:
        await other.close()
    assert [len(answer) for answer in answers] == [1, 2] * 20


async def test_a_broker_without_the_plugin_is_said_to_be_unavailable(
    authority: Authority,
    start_tls_mosquitto: Callable[..., TlsMosquitto],
    monkeypatch: pytest.MonkeyPatch,
):
    broker = start_tls_mosquitto(authority, plugin=False)
    monkeypatch.setattr(dynamic_security, "_ANSWER_SECONDS", 0.2)
    plain = MqttSender(broker.settings())
    try:
        with pytest.raises(DomainError) as raised:
            await dynamic_security.admit(plain, [str(new_id())])
    finally:
        await plain.close()
    assert raised.value.code == "service.unavailable"


def test_the_shipped_roles_are_written_as_the_plugin_lists_them(tls_mosquitto):
    """What `compare` holds against our own wishes is what the real plugin says."""
    mine = str(new_id())
    tls_mosquitto.admit(mine)
    [answer] = tls_mosquitto.command({"command": "getRole", "rolename": f"gateway-{mine}"})
    listed = {(acl["acltype"], acl["topic"]) for acl in answer["data"]["role"]["acls"]}
    assert listed == {(acl.acltype, acl.topic) for acl in gateway_acls(mine)}


MINE, THEIRS = str(UUID(int=1)), str(UUID(int=2))


def client(name: str, *roles: str) -> Client:
    return Client(name, tuple(RoleName(role) for role in roles))


def fence(name: str, of: str | None = None) -> Role:
    return Role(f"gateway-{name}", tuple(gateway_acls(of or name)))


@pytest.mark.parametrize(
    ("clients", "roles", "difference"),
    [
        ([], [fence(MINE)], Difference(wrong=(MINE,))),
        ([], [], Difference(unknown=(MINE,))),
        ([client(MINE, f"gateway-{MINE}")], [fence(MINE)], Difference()),
        ([client(MINE)], [fence(MINE)], Difference(wrong=(MINE,))),
        ([client(MINE, f"gateway-{MINE}", "hub")], [fence(MINE)], Difference(wrong=(MINE,))),
        ([client(MINE, f"gateway-{MINE}")], [fence(MINE, THEIRS)], Difference(wrong=(MINE,))),
        (
            [client(MINE, f"gateway-{MINE}"), client(THEIRS)],
            [fence(MINE)],
            Difference(to_expel=(THEIRS,)),
        ),
        (
            [client(MINE, f"gateway-{MINE}")],
            [fence(MINE), fence(THEIRS)],
            Difference(to_expel=(THEIRS,)),
        ),
        (
            [client(MINE, f"gateway-{MINE}"), client("hub", "hub")],
            [fence(MINE)],
            Difference(),
        ),
    ],
)
def test_what_differs_is_found(clients, roles, difference):
    assert compare({MINE}, clients, roles) == difference


def test_a_message_of_commands_fits_into_a_packet():
    names = [str(new_id()) for _ in range(dynamic_security._GATEWAYS_PER_MESSAGE)]
    commands = [step for name in names for step in admission(name)]
    message = dynamic_security._write(commands, "x" * 12)
    assert len(message) < 60_000
    assert len(json.loads(message)["commands"]) == len(commands)
