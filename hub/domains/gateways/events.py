"""Payloads of the events of gateways; the columns that the database's triggers emit."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.gateways.schemas import GatewayStatus


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
