"""REST: why does this user receive nothing?"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get
from litestar.params import QueryParameter
from msgspec import Raw

from core.clock import now
from hub.http.deps import actor
from hub.http.problems import documented
from hub.realtime import codes
from hub.realtime.cluster import diagnosis
from hub.realtime.cluster.diagnosis import Diagnosis, Stream
from hub.realtime.cluster.messages import ConnectionState, Refusal
from hub.realtime.hub import Hub
from hub.realtime.operations import Procedure, RefusedError
from hub.realtime.tokens.claims import ConnectClaims

FindingCode = Literal[diagnosis.FindingCode, "unknown_channel", "not_allowed"]

Channel = Annotated[
    str | None,
    QueryParameter(
        max_length=255, description="A channel to look at besides those that the user has."
    ),
]


class DiagnosedSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription and how far it has come; no offset while it is made, or without history."""

    channel: str
    by_server: bool
    offset: int | None
    epoch: str | None


class DiagnosedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """An open connection of the user, whichever process holds it."""

    client: str
    process: str
    transport: str
    format: str
    connected_at: datetime
    waiting_bytes: int
    subscriptions: list[DiagnosedSubscription]


class DiagnosedChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel and the end of its stream, which is unread while Redis is away."""

    channel: str
    exists: bool
    may_subscribe: bool
    offset: int | None = None
    epoch: str | None = None
    last_publication_at: datetime | None = None


class DiagnosedRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was refused; without a method the server closed the connection."""

    at: datetime
    method: str
    channel: str
    code: int
    reason: str


class DiagnosedRedis(msgspec.Struct, frozen=True, kw_only=True):
    """Redis as the answering process sees it; no time when it did not answer."""

    is_healthy: bool
    answer_ms: float | None


class DiagnosedFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that keeps publications from the user; the likeliest cause comes first."""

    code: FindingCode
    detail: str
    channel: str | None
    client: str | None


class RealtimeDiagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What all processes know of one's realtime connections. No finding: everything is well."""

    checked_at: datetime
    findings: list[DiagnosedFinding]
    connections: list[DiagnosedConnection]
    channels: list[DiagnosedChannel]
    refusals: list[DiagnosedRefusal]
    silent_processes: list[str]
    redis: DiagnosedRedis


@get("/realtime/diagnose", tags=["realtime"], responses=documented())
async def diagnose_realtime(
    request: Request[Any, Any, Any], channel: Channel = None
) -> RealtimeDiagnosis:
    """Say why one receives nothing: connections, positions, refusals, the health of Redis."""
    current = actor(request)
    user = str(current.user_id)
    hub: Hub = request.app.state.realtime
    claims = ConnectClaims(user=user, session_id=current.session_id, role=current.role)
    expected = hub.channels_of(user)
    asked = None
    if channel is not None and channel not in expected:
        asked = await _look_at(request, claims, channel)
        if asked.may_subscribe:
            # Others' channels are none of this user's business, not even how busy they are.
            expected.append(channel)
    found = await diagnosis.diagnose(hub.broker, hub.control, user, expected)
    return _shown(found, asked)


def diagnose_procedure(hub: Hub) -> Procedure:
    """Return the diagnosis of any user, for application servers."""

    async def procedure(params: Raw) -> bytes:
        try:
            user = msgspec.json.decode(params, type=_Params).user
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise RefusedError(codes.BAD_REQUEST) from None
        expected = hub.channels_of(user)
        found = await diagnosis.diagnose(hub.broker, hub.control, user, expected)
        return msgspec.json.encode(_shown(found, None))

    return procedure


class _Params(msgspec.Struct):
    user: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


async def _look_at(
    request: Request[Any, Any, Any], claims: ConnectClaims, channel: str
) -> DiagnosedChannel:
    hub: Hub = request.app.state.realtime
    if hub.namespace_of(channel) is None:
        return DiagnosedChannel(channel=channel, exists=False, may_subscribe=False)
    allowed = await hub.may_join(claims, channel)
    return DiagnosedChannel(channel=channel, exists=True, may_subscribe=allowed)


def _shown(found: Diagnosis, asked: DiagnosedChannel | None) -> RealtimeDiagnosis:
    findings = [
        DiagnosedFinding(
            code=item.code,
            detail=item.detail,
            channel=item.channel or None,
            client=item.client or None,
        )
        for item in found.findings
    ]
    streams = [_shown_stream(stream) for stream in found.streams]
    if asked and not asked.may_subscribe:
        streams.append(asked)
        findings.insert(0, _refused(asked))
    seconds = found.broker_answer_seconds
    return RealtimeDiagnosis(
        checked_at=now(),
        findings=findings,
        connections=[_shown_connection(item.node, item.state) for item in found.connections],
        channels=streams,
        refusals=[_shown_refusal(item) for item in found.refusals],
        silent_processes=list(found.silent_nodes),
        redis=DiagnosedRedis(
            is_healthy=found.is_broker_healthy,
            answer_ms=None if seconds is None else round(seconds * 1000, 2),
        ),
    )


def _refused(asked: DiagnosedChannel) -> DiagnosedFinding:
    code, detail = "unknown_channel", "No namespace has this channel: check its name."
    if asked.exists:
        code, detail = "not_allowed", "The user may not subscribe to this channel."
    return DiagnosedFinding(code=code, detail=detail, channel=asked.channel, client=None)


def _shown_connection(process: str, state: ConnectionState) -> DiagnosedConnection:
    return DiagnosedConnection(
        client=state.client,
        process=process,
        transport=state.transport,
        format=state.format,
        connected_at=datetime.fromtimestamp(state.connected_at_ms / 1000, UTC),
        waiting_bytes=state.waiting_bytes,
        subscriptions=[
            DiagnosedSubscription(
                channel=item.channel,
                by_server=item.by_server,
                offset=item.position.offset if item.position else None,
                epoch=item.position.epoch if item.position else None,
            )
            for item in state.subscriptions
        ],
    )


def _shown_stream(stream: Stream) -> DiagnosedChannel:
    return DiagnosedChannel(
        channel=stream.channel,
        exists=True,
        may_subscribe=True,
        offset=stream.top.offset,
        epoch=stream.top.epoch,
        last_publication_at=_time_of(stream.latest.payload) if stream.latest else None,
    )


class _Dated(msgspec.Struct):
    occurred_at: datetime


class _Payload(msgspec.Struct):
    data: _Dated


def _time_of(payload: bytes) -> datetime | None:
    """Return when the event of a publication occurred; what servers publish need not say it."""
    try:
        return msgspec.json.decode(payload, type=_Payload).data.occurred_at
    except msgspec.MsgspecError:
        return None


def _shown_refusal(refusal: Refusal) -> DiagnosedRefusal:
    return DiagnosedRefusal(
        at=datetime.fromtimestamp(refusal.at, UTC),
        method=refusal.method,
        channel=refusal.channel,
        code=refusal.code,
        reason=refusal.reason,
    )
