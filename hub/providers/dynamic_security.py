"""Mosquitto's dynamic-security plugin, told over MQTT which gateways there are.

A gateway is a client of the plugin, named as its certificate is, with a role of its own: the plugin
of mosquitto 2.0 knows no patterns. Disabling a client would not do: that is asked where passwords
are checked, which certificates pass by. Commands: plugins/dynamic-security/README.md of mosquitto.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from core import ids
from core.errors import DomainError
from hub.providers.mqtt_sender import MqttSender

COMMANDS_TOPIC: Final = "$CONTROL/dynamic-security/v1"
RESPONSES_TOPIC: Final = "$CONTROL/dynamic-security/v1/response"
_ANSWER_SECONDS: Final = 5.0
# Each command makes the broker write its whole file anew before it turns to anybody else: with a
# thousand gateways some 10 ms. So few at once, and others have their turn in between.
_GATEWAYS_PER_MESSAGE: Final = 4
_PER_PAGE: Final = 100
_ROLE_PREFIX: Final = "gateway-"


class Acl(Struct, frozen=True):
    """One right of a role."""

    acltype: str
    topic: str
    allow: bool = True


class RoleName(Struct, frozen=True):
    """A role as a client has it."""

    rolename: str


class CreateRole(Struct, frozen=True, tag_field="command", tag="createRole"):
    """Add a role."""

    rolename: str
    acls: Sequence[Acl]


class ModifyRole(Struct, frozen=True, tag_field="command", tag="modifyRole"):
    """Replace a role's rights; who has it is disconnected."""

    rolename: str
    acls: Sequence[Acl]


class DeleteRole(Struct, frozen=True, tag_field="command", tag="deleteRole"):
    """Remove a role."""

    rolename: str


class CreateClient(
    Struct, frozen=True, tag_field="command", tag="createClient", omit_defaults=True
):
    """Add a client; a certificate needs no password."""

    username: str
    roles: Sequence[RoleName] = ()
    password: str | None = None


class ModifyClient(Struct, frozen=True, tag_field="command", tag="modifyClient"):
    """Replace a client's roles, not its password; it is disconnected."""

    username: str
    roles: Sequence[RoleName]


class DeleteClient(Struct, frozen=True, tag_field="command", tag="deleteClient"):
    """Remove a client and disconnect it."""

    username: str


class ListClients(Struct, frozen=True, tag_field="command", tag="listClients"):
    """Ask for a page of clients."""

    count: int
    offset: int
    verbose: bool = True


class ListRoles(Struct, frozen=True, tag_field="command", tag="listRoles"):
    """Ask for a page of roles."""

    count: int
    offset: int
    verbose: bool = True


Command = (
    CreateRole
    | ModifyRole
    | DeleteRole
    | CreateClient
    | ModifyClient
    | DeleteClient
    | ListClients
    | ListRoles
)


class Client(Struct, frozen=True):
    """A client as it is listed."""

    username: str
    roles: tuple[RoleName, ...] = ()


class Role(Struct, frozen=True):
    """A role as it is listed."""

    rolename: str
    acls: tuple[Acl, ...] = ()


class Listed(Struct, frozen=True):
    """The data of a response; commands that change something have none."""

    clients: tuple[Client, ...] = ()
    roles: tuple[Role, ...] = ()


class Response(Struct, frozen=True, rename={"correlation": "correlationData"}):
    """What the plugin says to one command; `error` is empty when it was done."""

    command: str
    error: str = ""
    data: Listed = Listed()
    correlation: str = ""


class Responses(Struct, frozen=True):
    """What one message on the response topic carries."""

    responses: tuple[Response, ...]


# What was done before is done.
_HARMLESS: Final[dict[str, str]] = {
    "createRole": "Role already exists",
    "createClient": "Client already exists",
    "deleteRole": "Role not found",
    "deleteClient": "Client not found",
}


class CommandError(Exception):
    """The plugin refused a command; the message says which and why."""


class Difference(Struct, frozen=True):
    """How the broker's gateways differ from ours."""

    unknown: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    """Known, but not with the rights of a gateway."""
    to_expel: tuple[str, ...] = ()

    @property
    def to_admit(self) -> tuple[str, ...]:
        return self.unknown + self.wrong


async def admit(sender: MqttSender, gateways: Iterable[str]) -> None:
    """Give gateways their rights, exactly; whoever is connected as one has to come again.

    For that may be a device which the newly claimed one replaces.
    """
    for some in _in_messages(gateways):
        await execute(sender, [step for gateway in some for step in admission(gateway)])


async def expel(sender: MqttSender, gateways: Iterable[str]) -> None:
    """Take away all rights of gateways and end their connections."""
    for some in _in_messages(gateways):
        await execute(sender, [step for gateway in some for step in expulsion(gateway)])


async def reconcile(
    sender: MqttSender, read_wanted: Callable[[], Awaitable[set[UUID]]]
) -> Difference:
    """Make the broker's gateways those that are wanted; return what was amiss."""
    clients = [client async for page in _pages(sender, ListClients) for client in page.clients]
    roles = [role async for page in _pages(sender, ListRoles) for role in page.roles]
    # Asked after the broker: whom it has admitted meanwhile is wanted too.
    difference = compare(_names(await read_wanted()), clients, roles)
    await expel(sender, difference.to_expel)
    for some in _in_messages(difference.unknown):
        await execute(sender, [step for gateway in some for step in introduction(gateway)])
    await admit(sender, difference.wrong)
    if difference.to_admit:
        # And again: one of them may have been expelled before it was admitted here.
        still_wanted = _names(await read_wanted())
        await expel(sender, [name for name in difference.to_admit if name not in still_wanted])
    return difference


async def execute(sender: MqttSender, commands: Sequence[Command]) -> list[Response]:
    """Return the plugin's answers, in the order of the commands.

    Raises CommandError when it refuses one, DomainError("service.unavailable") when the broker is
    away or has no such plugin.
    """
    correlation = ids.new_token(9)
    async with sender.answers(RESPONSES_TOPIC) as answers:
        await sender.publish(COMMANDS_TOPIC, _write(commands, correlation))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                responses = await _own_responses(answers, correlation)
        except TimeoutError:
            raise DomainError(
                "service.unavailable", "The MQTT broker's dynamic security does not answer."
            ) from None
    for response in responses:
        if response.error and response.error != _HARMLESS.get(response.command):
            raise CommandError(f"{response.command}: {response.error}")
    return responses


def introduction(gateway: str) -> list[Command]:
    """Return what gives a gateway its rights where there was nothing of it."""
    role = RoleName(role_name(gateway))
    return [CreateRole(role.rolename, gateway_acls(gateway)), CreateClient(gateway, [role])]


def admission(gateway: str) -> list[Command]:
    """Return what gives a gateway its rights, whatever was there before."""
    role = RoleName(role_name(gateway))
    return [
        *introduction(gateway),
        ModifyRole(role.rolename, gateway_acls(gateway)),
        ModifyClient(gateway, [role]),
    ]


def expulsion(gateway: str) -> list[Command]:
    """Return what leaves a gateway no rights and no connection."""
    # Only of a client that it knows, the plugin ends the connections.
    return [CreateClient(gateway), DeleteClient(gateway), DeleteRole(role_name(gateway))]


def role_name(gateway: str) -> str:
    """Return the name of a gateway's role."""
    return _ROLE_PREFIX + gateway


def gateway_acls(gateway: str) -> list[Acl]:
    """Return the fence of a gateway: its own subtree to write, its own commands to read."""
    commands = f"ping/v1/cmd/gw/{gateway}/#"
    return [
        Acl("publishClientSend", f"ping/v1/gw/{gateway}/#"),
        Acl("publishClientReceive", commands),
        Acl("subscribePattern", commands),
    ]


def compare(wanted: set[str], clients: Iterable[Client], roles: Iterable[Role]) -> Difference:
    """Tell which gateways lack their rights, and who has a gateway's rights without being one.

    Clients that are no gateways are left alone.
    """
    fences = {role.rolename: set(role.acls) for role in roles}
    holders = {client.username: {role.rolename for role in client.roles} for client in clients}
    right = {
        gateway
        for gateway in wanted
        if holders.get(gateway) == {role_name(gateway)}
        and fences.get(role_name(gateway)) == set(gateway_acls(gateway))
    }
    named = {
        role.removeprefix(_ROLE_PREFIX)
        for role in (*fences, *(name for names in holders.values() for name in names))
        if role.startswith(_ROLE_PREFIX)
    }
    strangers = {name for name in named | {*filter(_is_gateway, holders)} if name not in wanted}
    unknown = {name for name in wanted if name not in holders and role_name(name) not in fences}
    return Difference(
        unknown=tuple(sorted(unknown)),
        wrong=tuple(sorted(wanted - right - unknown)),
        to_expel=tuple(sorted(strangers)),
    )


def _in_messages(gateways: Iterable[str]) -> Iterable[Sequence[str]]:
    waiting = list(gateways)
    for start in range(0, len(waiting), _GATEWAYS_PER_MESSAGE):
        yield waiting[start : start + _GATEWAYS_PER_MESSAGE]


def _names(gateways: Iterable[UUID]) -> set[str]:
    return {str(gateway) for gateway in gateways}


def _is_gateway(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


async def _pages(
    sender: MqttSender, ask: Callable[[int, int], ListClients | ListRoles]
) -> AsyncGenerator[Listed]:
    offset = 0
    while True:
        [response] = await execute(sender, [ask(_PER_PAGE, offset)])
        yield response.data
        if len(response.data.clients) + len(response.data.roles) < _PER_PAGE:
            return
        offset += _PER_PAGE


def _write(commands: Sequence[Command], correlation: str) -> bytes:
    return msgspec.json.encode(
        {
            "commands": [
                {**msgspec.to_builtins(command), "correlationData": correlation}
                for command in commands
            ]
        }
    )


async def _own_responses(answers: asyncio.Queue[bytes], correlation: str) -> list[Response]:
    """Return the responses to our commands: on the topic are also those to other processes."""
    while True:
        try:
            message = msgspec.json.decode(await answers.get(), type=Responses)
        except msgspec.MsgspecError:
            continue
        if any(response.correlation == correlation for response in message.responses):
            return list(message.responses)
