"""The connections of one process: all, those of a user, and those that send by `/emulation`."""

from hub.realtime import metrics
from hub.realtime.connection import Connection
from hub.realtime.figures import FIGURES, TRAFFIC


class Directory:
    """Finds connections by who they belong to."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.emulated: dict[str, Connection] = {}
        self._by_user: dict[str, set[Connection]] = {}
        FIGURES.clients.add(self)

    @property
    def user_count(self) -> int:
        """How many different users are connected; all anonymous clients are one."""
        return len(self._by_user)

    def add(self, connection: Connection) -> None:
        """Take in a connection whose user is not known yet."""
        self.connections.add(connection)
        traffic = TRAFFIC[connection.transport]
        traffic.accepted += 1
        traffic.inflight += 1
        if connection.session.secret:
            self.emulated[connection.session.secret] = connection

    def know(self, connection: Connection) -> None:
        """Note whose connection it is."""
        self._by_user.setdefault(connection.session.user, set()).add(connection)
        metrics.USERS.set(len(self._by_user))

    def forget(self, connection: Connection) -> None:
        """Find a connection no more: it is closing."""
        self.emulated.pop(connection.session.secret, None)
        user = connection.session.user
        known = self._by_user.get(user)
        if known:
            known.discard(connection)
            if not known:
                del self._by_user[user]
            metrics.USERS.set(len(self._by_user))

    def remove(self, connection: Connection) -> None:
        """Let go of a connection whose transport is gone."""
        if connection in self.connections:
            self.connections.remove(connection)
            TRAFFIC[connection.transport].inflight -= 1

    def count(self, user: str) -> int:
        """Count the connections of a user."""
        return len(self._by_user.get(user, ()))

    def find(self, user: str = "", client: str = "", session: str = "") -> list[Connection]:
        """Return the connections that all given names fit; none when nothing is named."""
        if not (user or client or session):
            return []
        # A copy: whoever is closed leaves at once.
        found = self._by_user.get(user, ()) if user else self.connections
        return [
            item
            for item in found
            if client in ("", item.session.client_id) and session in ("", item.session.secret)
        ]

    def of_sign_in(self, session_id: str) -> list[Connection]:
        """Return the connections whose tokens came from one sign-in session."""
        return [
            item
            for item in self.connections
            if item.session.claims and item.session.claims.session_id == session_id
        ]
