"""Why does this user receive nothing? All that the hub's processes and the broker know about it."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from core import clock
from hub.realtime.broker import Broker, BrokerUnavailableError, Publication, StreamPosition, latest
from hub.realtime.cluster.control import Control
from hub.realtime.cluster.messages import (
    ConnectionState,
    DescribeUser,
    Refusal,
    SubscriptionState,
    UserState,
)

_SURVEY_SECONDS: Final = 1.0
# A phone on a slow network has some kilobytes under way at any time.
_SLOW_BYTES: Final = 65_536

FindingCode = Literal[
    "broker_unavailable",
    "process_silent",
    "no_connection",
    "not_subscribed",
    "behind",
    "slow",
    "never_published",
    "refused",
]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that keeps publications from the user; the likeliest cause comes first."""

    code: FindingCode
    detail: str
    channel: str = ""
    client: str = ""


class NodeConnection(msgspec.Struct, frozen=True):
    """A connection and the process that holds it."""

    node: str
    state: ConnectionState


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a channel's stream; without a position the channel keeps none."""

    channel: str
    top: StreamPosition
    latest: Publication | None


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The whole picture of one user at one moment."""

    connections: tuple[NodeConnection, ...]
    streams: tuple[Stream, ...]
    refusals: tuple[Refusal, ...]
    silent_nodes: tuple[str, ...]
    is_broker_healthy: bool
    broker_answer_seconds: float | None
    """How long the broker took to answer; None when it did not."""
    findings: tuple[Finding, ...]


async def diagnose(
    broker: Broker, control: Control, user: str, expected: Sequence[str]
) -> Diagnosis:
    """Look at a user's connections, at the channels they have, and at those they should have.

    Streams are read between two looks at the connections, so that a position which is behind its
    stream's top was so for a while: nothing that is merely under way counts.
    """
    first = _states((await control.survey(DescribeUser(user), _SURVEY_SECONDS)).answers.items())
    channels = dict.fromkeys(
        (
            *expected,
            *(item.channel for _, state in first for item in _subscriptions(state)),
        )
    )
    started = clock.monotonic_seconds()
    try:
        streams = tuple(await asyncio.gather(*(_stream(broker, name) for name in channels)))
        answer_seconds = clock.monotonic_seconds() - started
    except BrokerUnavailableError:
        streams, answer_seconds = (), None
    survey = await control.survey(DescribeUser(user), _SURVEY_SECONDS)
    states = _states(survey.answers.items())
    connections = tuple(
        NodeConnection(node, connection)
        for node, state in states
        for connection in state.connections
    )
    refusals = sorted(
        (item for _, state in states for item in state.refusals), key=lambda item: item.at
    )
    diagnosis = Diagnosis(
        connections=connections,
        streams=streams,
        refusals=tuple(refusals),
        silent_nodes=survey.missing,
        is_broker_healthy=broker.healthy,
        broker_answer_seconds=answer_seconds,
        findings=(),
    )
    return msgspec.structs.replace(diagnosis, findings=tuple(find(diagnosis, expected)))


def find(diagnosis: Diagnosis, expected: Sequence[str]) -> Iterable[Finding]:
    """Say what keeps publications from a user."""
    if not diagnosis.is_broker_healthy or diagnosis.broker_answer_seconds is None:
        yield Finding(code="broker_unavailable", detail="Redis does not answer this process.")
    for node in diagnosis.silent_nodes:
        yield Finding(code="process_silent", detail=f"The process {node} did not answer.")
    if not diagnosis.connections:
        yield Finding(code="no_connection", detail="No socket of this user is open.")
    tops = {stream.channel: stream.top for stream in diagnosis.streams}
    for connection in diagnosis.connections:
        yield from _find_in(connection.state, tops, expected)
    for stream in diagnosis.streams:
        if stream.top.epoch and stream.top.offset == 0:
            yield Finding(
                code="never_published",
                detail="Nothing was published since the stream began.",
                channel=stream.channel,
            )
    for refusal in diagnosis.refusals[-1:]:
        yield Finding(
            code="refused",
            detail=f"The last refusal was {refusal.code} {refusal.reason}.",
            channel=refusal.channel,
        )


def _find_in(
    connection: ConnectionState, tops: dict[str, StreamPosition], expected: Sequence[str]
) -> Iterable[Finding]:
    subscribed = {item.channel for item in connection.subscriptions}
    for channel in expected:
        if channel not in subscribed:
            yield Finding(
                code="not_subscribed",
                detail="The server has not subscribed this connection to the user's own channel.",
                channel=channel,
                client=connection.client,
            )
    for item in connection.subscriptions:
        top = tops.get(item.channel)
        if top and top.offset and (item.position is None or _is_behind(item.position, top)):
            yield Finding(
                code="behind",
                detail="The connection's process has not received all that was published.",
                channel=item.channel,
                client=connection.client,
            )
    if connection.waiting_bytes > _SLOW_BYTES:
        yield Finding(
            code="slow",
            detail="The client does not read what it was sent.",
            client=connection.client,
        )


def _is_behind(position: StreamPosition, top: StreamPosition) -> bool:
    return position.epoch != top.epoch or position.offset < top.offset


def _states(answers: Iterable[tuple[str, object]]) -> list[tuple[str, UserState]]:
    return [(node, answer) for node, answer in answers if isinstance(answer, UserState)]


def _subscriptions(state: UserState) -> list[SubscriptionState]:
    return [item for connection in state.connections for item in connection.subscriptions]


async def _stream(broker: Broker, channel: str) -> Stream:
    found = await latest(broker, channel)
    publications = found.publications
    return Stream(channel=channel, top=found.top, latest=publications[0] if publications else None)
