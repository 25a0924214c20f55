"""The session of a JSON-RPC client: a message in, effects out.

Owns the protocol's own methods (rpc.*, $/*) and the answers: one for each request, or one for a whole batch. Never
raises for anything that a client sent. Must not know what a client is allowed: session.py does.
"""

from collections.abc import Iterable, Sequence

from pgrpc.core.session import effects, session, subscriptions
from pgrpc.core.wire import errors, jsonrpc, jsontext, rpc_methods


class RpcSession(session.Session):
    __slots__ = ()

    def receive(self, data: str | bytes, now: float = 0.0) -> list[effects.Effect]:
        """The effects of one message of the client. now: seconds of a monotonic clock, for rate limits."""
        try:
            message = jsonrpc.parse(data, self._limits.batch)
        except errors.RpcError as error:
            return [effects.Send(jsonrpc.error("null", error))]
        if not isinstance(message, list):
            return self._message(message, None, now)
        batch = effects.Batch(len(message))
        with self._catalog.shared_budget():  # there is no pause between them
            return [effect for member in message for effect in self._message(member, batch, now)]

    def _message(self, message: jsonrpc.Message, batch: effects.Batch | None, now: float) -> list[effects.Effect]:
        if isinstance(message, jsonrpc.Invalid):
            return self._refuse(effects.Ticket(message.id, None, batch), message.error)
        ticket = effects.Ticket(message.id, message.key, batch)
        try:
            match message.method:
                case "rpc.off":  # like cancelling, it releases resources, so it is not rate-limited
                    return self._off(ticket, self._channels(ticket, message.params))
                case "$/cancelRequest":
                    return self.cancel(ticket, rpc_methods.identifier(message.params))
            self._count(now)
            match message.method:
                case "rpc.on":
                    return self._subscribe(ticket, self._channels(ticket, message.params), now)
                case "rpc.login":
                    return self.log_in(ticket, rpc_methods.token(message.params), now)
            return self._call(ticket, message.method, message.params, now)
        except errors.RpcError as error:
            return self._refuse(ticket, error)

    def _channels(self, ticket: effects.Ticket, params: jsonrpc.Params) -> list[str]:
        """The channels that a request names. The members of a batch may name as many together as one request."""
        batch = ticket.batch
        names = rpc_methods.channels(params, self.most_requested, 0 if batch is None else batch.named)
        if batch is not None:
            batch.named += len(names)
        return names

    def _off(self, ticket: effects.Ticket, names: list[str]) -> list[effects.Effect]:
        if self._subscriptions is None:
            return self._reply(ticket, jsontext.dump(dict.fromkeys(names, subscriptions.NOT_SUBSCRIBED)))
        answer, ended = self._subscriptions.off(names)
        return [*ended, *self._reply(ticket, jsontext.dump(answer))]

    # Answers

    def _reply(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        return self._answer(ticket, None if ticket.id is None else jsonrpc.result(ticket.id, text), ())

    def _refuse(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        return self._answer(ticket, None if ticket.id is None else jsonrpc.error(ticket.id, error), ())

    def _subscribed(
        self, ticket: effects.Ticket, results: dict[str, str], activate: Sequence[str]
    ) -> list[effects.Effect]:
        reply = None if ticket.id is None else jsonrpc.result(ticket.id, jsontext.dump(results))
        return self._answer(ticket, reply, activate)

    @staticmethod
    def _answer(ticket: effects.Ticket, reply: str | None, activate: Iterable[str]) -> list[effects.Effect]:
        """The reply, alone or as a member of its batch; `activate` follows it."""
        batch = ticket.batch
        if batch is None:
            text, live = reply, list(activate)
        else:
            batch.open -= 1
            batch.activate += activate
            if reply is not None:
                batch.replies.append(reply)
            if batch.open:
                return []
            text, live = jsonrpc.batch(batch.replies) if batch.replies else None, batch.activate
        done: list[effects.Effect] = [] if text is None else [effects.Send(text)]
        return [*done, effects.Activate(live)] if live else done
