"""Payloads of the events of gateways; the columns that the database's triggers emit."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from core.edge import Reported
from hub.domains.gateways.schemas import GatewayAlert, GatewayStatus


class GatewayOnline(Struct, frozen=True, kw_only=True, tag="gateway.online"):
    """A gateway reached the MQTT broker; its rings are carried."""

    gateway_id: UUID
    name: str
    status: GatewayStatus
    last_seen_at: datetime | None


class GatewayOffline(Struct, frozen=True, kw_only=True, tag="gateway.offline"):
    """A gateway stopped or was lost; taps wait in its rings and in its spool."""

    gateway_id: UUID
    name: str
    status: GatewayStatus
    last_seen_at: datetime | None


class GatewayConfigured(Struct, frozen=True, kw_only=True, tag="gateway.configured"):
    """The owner wants another configuration; the gateway is being told."""

    gateway_id: UUID
    name: str
    config_rev: int


class GatewayReported(Struct, frozen=True, kw_only=True, tag="gateway.reported"):
    """A gateway has taken a configuration, or refused it."""

    gateway_id: UUID
    name: str
    reported: Reported


class GatewayAlerted(Struct, frozen=True, kw_only=True, tag="gateway.alerted"):
    """What a gateway's owner should look at is now this."""

    gateway_id: UUID
    name: str
    alerts: list[GatewayAlert]


class GatewayRecovered(Struct, frozen=True, kw_only=True, tag="gateway.recovered"):
    """Nothing is wrong with a gateway any more."""

    gateway_id: UUID
    name: str
    alerts: list[GatewayAlert]
