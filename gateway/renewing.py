"""Renewal, a thin shell: does on disk and over MQTT what gateway.renewal decides."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core import clock, edge, log
from gateway import identity, renewal
from gateway.identity import IdentityError, Validity
from gateway.refusals import CERTIFICATE_PROBLEMS
from gateway.renewal import Renewal
from gateway.uplink import Uplink

TICK_SECONDS: Final = 1.0
_REQUEST_ID_BYTES: Final = 16

_log = log.get("gateway.renewal")


class Renewing:
    """Keeps the identity in a folder young over an uplink."""

    def __init__(
        self, folder: Path, gateway: str, uplink: Uplink, random: Callable[[], float]
    ) -> None:
        """Go on where the last run was; raises IdentityError."""
        self._folder = folder
        self._gateway = gateway
        self._uplink = uplink
        validity = identity.validity(folder / identity.CERTIFICATE)
        self.renewal = Renewal(validity, identity.held(folder, "renewing"), random)
        uplink.show(on_trial=self.renewal.is_on_trial)
        self._events: asyncio.Queue[renewal.Event | edge.CertificateReply] = asyncio.Queue()
        self._asked: bytes | None = None

    @property
    def validity(self) -> Validity:
        """From when until when the identity's certificate holds."""
        return self.renewal.validity

    @property
    def problem(self) -> str:
        """Why the certificate is refused or not renewed; empty when all is well."""
        if not self._uplink.is_up and self._uplink.problem in CERTIFICATE_PROBLEMS:
            return self._uplink.problem
        return self.renewal.problem

    def feed(self, event: renewal.Event | edge.CertificateReply) -> None:
        """Tell what happened; it is looked at soon."""
        self._events.put_nowait(event)

    async def run(self) -> None:
        """Renew for ever."""
        while True:
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the event.
            event: renewal.Event | edge.CertificateReply = renewal.Tick(clock.unix_ms())
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    event = await self._events.get()
            except TimeoutError:
                event = renewal.Tick(clock.unix_ms())
            if isinstance(event, edge.CertificateReply):
                taken = await asyncio.to_thread(self._take, event)
                if taken is None:
                    continue
                event = taken
            await self._decide(event)

    async def _decide(self, event: renewal.Event) -> None:
        before = self.renewal.state
        actions = self.renewal.feed(event, clock.monotonic_seconds())
        if self.renewal.state is not before:
            problem = self.renewal.problem
            _log.info("renewal_changed", state=self.renewal.state, reason=problem)
        for action in actions:
            try:
                await self._do(action)
            except (OSError, IdentityError) as error:
                # A full disk or the like: what is there stays, the attempt is repeated.
                _log.warning("renewal_failed", reason=str(error))

    async def _do(self, action: renewal.Action) -> None:
        match action:
            case renewal.Ask():
                await self._ask()
            case renewal.Use(on_trial):
                await self._uplink.reconnect(on_trial=on_trial)
            case renewal.Accept():
                await asyncio.to_thread(identity.accept, self._folder, "renewing")
                self._uplink.show(on_trial=False)
                found = await asyncio.to_thread(
                    identity.validity, self._folder / identity.CERTIFICATE
                )
                _log.info("certificate_renewed", expires_ms=found.not_after_ms)
                await self._decide(renewal.Accepted(found))
            case renewal.Discard():
                self._asked = None
                await asyncio.to_thread(identity.discard, self._folder, "renewing")

    async def _ask(self) -> None:
        csr = await asyncio.to_thread(identity.request, self._folder, "renewing", self._gateway)
        self._asked = hashlib.sha256(csr).digest()[:_REQUEST_ID_BYTES]
        request = edge.CertificateRequest(id=self._asked, csr=csr)
        self._uplink.publish(edge.csr_topic(self._gateway), edge.encode(request))

    def _take(self, reply: edge.CertificateReply) -> renewal.Event | None:
        """Return what a reply means, its certificate on disk; None for one to something else."""
        if reply.id != self._asked:
            return None
        if reply.code:
            _log.warning("renewal_refused", reason=reply.code)
            return renewal.Replied(reply.code)
        try:
            identity.keep_certificate(self._folder, "renewing", reply.certificate, reply.ca)
        except (OSError, IdentityError) as error:
            _log.warning("renewal_answer_unusable", reason=str(error))
            return renewal.ReplyUnusable()
        return renewal.Replied("")
