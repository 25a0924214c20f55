"""What an operator can have done to a server that runs: keys and certificate read again, a subject's sockets ended.

Owns the carrying out of orders, whether they come by a signal or on the control channel. Must not know how they come.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, assert_never

import pgrpc.config as configuration
from pgrpc import observe, tls
from pgrpc.compat import registry
from pgrpc.server import admin_channel
from pgrpc.web import server

if TYPE_CHECKING:
    from pgrpc.auth import authenticator as authenticating


def renewed(config: configuration.Config, environ: Mapping[str, str]) -> configuration.Config:
    """With the keys that its file names now; with those of before, where these cannot be used."""
    with contextlib.suppress(configuration.Invalid):
        if config.auth is not None:
            now = configuration.load(config.path, environ, registry.dialects())
            return dataclasses.replace(config, auth=now.auth or config.auth)
    return config


class Administration:
    """load: the configuration as its file is now. Raises config.Invalid."""

    def __init__(
        self,
        web: server.Server,
        authenticator: "authenticating.Authenticator | None",
        load: Callable[[], configuration.Config],
        observer: observe.Observer,
    ) -> None:
        self._web = web
        self._authenticator = authenticator
        self._load = load
        self._observe = observer
        self._reload = asyncio.Event()

    def order(self, order: admin_channel.Order) -> None:
        match order:
            case admin_channel.End(subject):
                self._observe(observe.Ended(self._web.end(subject)))
            case admin_channel.Reload():
                self._reload.set()
            case admin_channel.Unclear(reason):
                self._observe(observe.OrderUnclear(reason))
            case admin_channel.Missed():
                self._observe(observe.OrdersMissed())
            case _:
                assert_never(order)

    async def run(self) -> None:
        """Read again what is to be read again, once however often it was ordered meanwhile; for ever."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._reload_certificate()
            if self._authenticator is not None:
                await self._reload_keys(self._authenticator)

    def _reload_certificate(self) -> None:
        try:
            if self._web.reload_certificate():
                self._observe(observe.Reloaded("the certificate"))
        except tls.Unusable as error:
            self._observe(observe.NotReloaded("the certificate", f"the {error.file} {error}"))

    async def _reload_keys(self, authenticator: "authenticating.Authenticator") -> None:
        from pgrpc.auth import keys  # with an authenticator PyJWT is imported already

        try:
            auth = (await asyncio.to_thread(self._load)).auth
            if auth is None:
                raise keys.BadKey("is no longer in the file: start the server anew")
            await authenticator.reload(auth)
        except configuration.Invalid as error:
            self._observe(observe.NotReloaded("the keys", str(error)))
        except keys.BadKey as error:
            self._observe(observe.NotReloaded("the keys", f"the key {error}"))
        else:
            self._observe(observe.Reloaded("the keys"))
