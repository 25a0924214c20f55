"""The login state of one connection: its identity, the login in flight, and when each expires.

Owns what follows an identity that has expired: that of a login in flight, else the anonymous one, else the end of the
connection. Times are seconds since the epoch, as in tokens. Must not know how tokens are verified, nor what an identity
may do.
"""

from pgrpc.core.identity import identity
from pgrpc.core.session import effects
from pgrpc.core.wire import errors


class LoginState:
    """client: None while it must log in, and after its identity has expired. policy: None if clients cannot log in."""

    __slots__ = ("_login", "_policy", "_unanswered", "_until", "_warned", "client")

    def __init__(self, client: identity.Identity | None, policy: identity.LoginPolicy | None) -> None:
        self.client = client
        self._policy = policy
        self._login: effects.Login | None = None  # in flight
        self._unanswered: effects.Ticket | None = None  # the request of a login that succeeded
        self._until: float | None = None  # when the identity expires, or the client must have logged in
        self._warned = False

    def begin(self, now: float) -> list[effects.Effect]:
        """The connection is open."""
        if self.client is not None:
            self._until = self.client.expires
        elif self._policy is not None:
            self._until = now + self._policy.timeout
        return self.tick(now)

    def tick(self, now: float) -> list[effects.Effect]:
        """Time has passed."""
        if self._until is None:
            return []
        if now >= self._until:
            self.client = self._until = None
            return self._fall_back() if self._login is None else []  # the login in flight may bring a new identity
        if self.client is None or self._warned or self._policy is None:
            return [effects.SetTimer(self._until)]
        if now < self._until - self._policy.warn_before:
            return [effects.SetTimer(self._until - self._policy.warn_before)]
        self._warned = True
        return [effects.Expiring(round(self._until - now)), effects.SetTimer(self._until)]

    def log_in(self, ticket: effects.Ticket, token: str) -> list[effects.Effect]:
        """Start a login. Raises errors.LimitReached, errors.MethodNotFound."""
        if self._policy is None:
            raise errors.MethodNotFound("Method not found: this server accepts no tokens (no auth section)")
        if self._login is not None or self._unanswered is not None:
            raise errors.LimitReached("a login of this connection is in flight already", 1)
        self._login = effects.Login(ticket, token)
        return [self._login]

    def awaits(self, ticket: effects.Ticket) -> bool:
        """Whether this is the login in flight."""
        return self._login is not None and self._login.ticket is ticket

    @property
    def was_requested(self) -> bool:
        """Whether the client requested the login in flight; otherwise it was started because its identity expired."""
        return self._login is not None and self._login.token is not None

    def logged_in(self, client: identity.Identity, now: float) -> list[effects.Effect]:
        """The login in flight has succeeded. Call `answered` when all its consequences are settled."""
        assert self._login is not None
        if self._login.token is not None:
            self._unanswered = self._login.ticket
        self._login = None
        self.client, self._until, self._warned = client, client.expires, False
        return self.tick(now)

    def answered(self) -> effects.Ticket | None:
        """The login request to answer now, if there is one; from now on another login is accepted."""
        ticket, self._unanswered = self._unanswered, None
        return ticket

    def failed(self) -> list[effects.Effect]:
        """The login in flight has failed: the client keeps its identity, if it has one."""
        assert self._login is not None
        fell_back, self._login = self._login.token is None, None
        if self.client is not None or self._until is not None:
            return []
        if not fell_back:
            return self._fall_back()
        return [
            effects.Close(
                errors.CloseCode.UNAUTHENTICATED, "the token has expired, or the client did not log in in time"
            )
        ]

    def close(self) -> None:
        """The client is gone."""
        self._login = self._until = self._unanswered = None

    def _fall_back(self) -> list[effects.Effect]:
        self._login = effects.Login(effects.Ticket(), None)
        return [self._login]
