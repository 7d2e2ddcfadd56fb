"""What the uplink shows in TLS handshakes: the certificate, or its successor on trial."""

import logging
import ssl
from pathlib import Path

from gateway import identity
from gateway.identity import Validity


class CredentialsError(OSError):
    """Key or certificate cannot be used; an OSError, as paho expects of a failing connect."""


class Credentials:
    """Certificate and key of the next handshake; `show` is called before each, in paho's thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.on_trial = False
        """Whether the next connection is to show the successor."""
        self.shown_on_trial = False
        """What the latest connection has shown."""
        self.validity: Validity | None = None
        self._context = identity.tls_context()

    def fresh_context(self) -> ssl.SSLContext:
        """Return a context that `show` fills; a CA that was trusted before is not any more."""
        self._context = identity.tls_context()
        self._context.sslsocket_class = _ClosingSocket
        return self._context

    def show(self) -> None:
        """Load what is to be shown from the disk, or raise CredentialsError."""
        self.shown_on_trial = self.on_trial
        place = self._folder / "renewing" if self.on_trial else self._folder
        try:
            identity.present(self._context, place)
            self.validity = identity.validity(place / identity.CERTIFICATE)
        except (OSError, identity.IdentityError) as error:
            raise CredentialsError(f"{place}: {error}") from None


class _ClosingSocket(ssl.SSLSocket):
    """Closed when its handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class Faults(logging.Handler):
    """Catches why paho lost a connection: under TLS 1.3 a refused certificate is told by no call.

    The refusal arrives where the broker's first answer is read; paho only logs it.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.logger = logging.Logger("paho", logging.ERROR)  # noqa: LOG001  # nobody else's
        self.logger.addHandler(self)
        self.last: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        found = [item for item in arguments if isinstance(item, BaseException)]
        # What follows a refusal, such as a reset connection, does not explain it.
        if found and not isinstance(self.last, ssl.SSLError):
            self.last = found[0]
