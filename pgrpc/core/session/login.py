"""Who a client is, as time goes by: its identity, the login on its way, the end of both.

Owns when an identity ends and what comes after: the one that a later login brings, else what a client without a token
is, else the end of the connection. Must not know how tokens are read, nor what an identity may do. Times are seconds
since the epoch, as in tokens: nothing here depends on how steadily they come.
"""

from pgrpc.core.identity import identity
from pgrpc.core.session import effects
from pgrpc.core.wire import errors


class Standing:
    """Of one connection. client: None where it must log in first, or has no identity any more.

    terms: None where nobody logs in.
    """

    __slots__ = ("_login", "_noticed", "_terms", "_unanswered", "_until", "client")

    def __init__(self, client: identity.Identity | None, terms: identity.Terms | None) -> None:
        self.client = client
        self._terms = terms
        self._login: effects.Login | None = None  # on its way
        self._unanswered: effects.Ticket | None = None  # of the one that has come
        self._until: float | None = None  # when the client ends, or must have logged in
        self._noticed = False

    def begin(self, now: float) -> list[effects.Effect]:
        """The connection is open."""
        if self.client is not None:
            self._until = self.client.expires
        elif self._terms is not None:
            self._until = now + self._terms.patience
        return self.tick(now)

    def tick(self, now: float) -> list[effects.Effect]:
        """Time has passed."""
        if self._until is None:
            return []
        if now >= self._until:
            self.client = self._until = None
            return self._fall_back() if self._login is None else []  # the login on its way may bring another
        if self.client is None or self._noticed or self._terms is None:
            return [effects.Wake(self._until)]
        if now < self._until - self._terms.notice:
            return [effects.Wake(self._until - self._terms.notice)]
        self._noticed = True
        return [effects.Expiring(round(self._until - now)), effects.Wake(self._until)]

    def log_in(self, ticket: effects.Ticket, token: str) -> list[effects.Effect]:
        """Raises LimitReached, MethodNotFound."""
        if self._terms is None:
            raise errors.MethodNotFound("Method not found: nobody logs in here, the server asks for no token")
        if self._login is not None or self._unanswered is not None:
            raise errors.LimitReached("a login of this connection is on its way already", 1)
        self._login = effects.Login(ticket, token)
        return [self._login]

    def awaits(self, ticket: effects.Ticket) -> bool:
        """Whether this is the login on its way."""
        return self._login is not None and self._login.ticket is ticket

    def logged_in(self, client: identity.Identity, now: float) -> list[effects.Effect]:
        """The login on its way has brought this. It is to be `answered` when all that it leads to is done."""
        assert self._login is not None
        if self._login.token is not None:
            self._unanswered = self._login.ticket
        self._login = None
        self.client, self._until, self._noticed = client, client.expires, False
        return self.tick(now)

    def answered(self) -> effects.Ticket | None:
        """The login that is to be answered now, if there is one; the next may come."""
        ticket, self._unanswered = self._unanswered, None
        return ticket

    def failed(self) -> list[effects.Effect]:
        """The login on its way has brought nothing: the client stays who it is, where it is somebody."""
        assert self._login is not None
        fell_back, self._login = self._login.token is None, None
        if self.client is not None or self._until is not None:
            return []
        if not fell_back:
            return self._fall_back()
        return [effects.Close(errors.CloseCode.UNAUTHENTICATED, "the token has expired, or there was no login in time")]

    def close(self) -> None:
        """The client is gone."""
        self._login = self._until = self._unanswered = None

    def _fall_back(self) -> list[effects.Effect]:
        self._login = effects.Login(effects.Ticket(None, None, None), None)
        return [self._login]
