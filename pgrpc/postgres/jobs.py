"""One call on its way through the database: its state from the queue to its answer.

Owns this state as one value. Must not know what is done with it (database does).
"""

from collections.abc import Callable, Hashable

from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.postgres import prepared, statements

Result = str | errors.RpcError
"""JSON text, or the error for the client."""


class Job:
    """done: called once with the result; None after that. conn: None while it waits in the queue.

    timeout: seconds. started, deadline: of time.monotonic. cancel_requested: the client has cancelled it.
    cancel_runs: the request to PostgreSQL is in flight.
    """

    __slots__ = (
        "call", "caller", "cancel_requested", "cancel_runs", "client", "conn", "deadline", "done", "started", "steps",
        "timeout",
    )  # fmt: skip

    def __init__(
        self,
        call: catalog.Call,
        caller: identity.Identity,
        client: Hashable,
        done: Callable[[Result], None],
        steps: statements.Steps,
        timeout: float,
    ) -> None:
        self.call = call
        self.caller = caller
        self.timeout = timeout
        self.client = client
        self.done: Callable[[Result], None] | None = done
        self.steps = steps
        self.conn: prepared.Connection | None = None
        self.started = 0.0
        self.deadline = 0.0
        self.cancel_requested = False
        self.cancel_runs = False
