"""Executes admin commands on a running server: reload keys and certificate, disconnect a subject.

Owns the execution of commands. Must not know how they come: by a signal, or on the control channel.
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


def with_current_keys(config: configuration.Config, environ: Mapping[str, str]) -> configuration.Config:
    """The configuration with the present `auth` section of its file; unchanged if the file is not valid now."""
    with contextlib.suppress(configuration.Invalid):
        if config.auth is not None:
            now = configuration.load(config.path, environ, registry.dialects())
            return dataclasses.replace(config, auth=now.auth or config.auth)
    return config


class Admin:
    """load: reads the file of the configuration again. Raises config.Invalid."""

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

    def execute(self, command: admin_channel.Command) -> None:
        """Execute a command, or report why it is none."""
        match command:
            case admin_channel.Disconnect(subject):
                self._observe(observe.Disconnected(self._web.disconnect(subject)))
            case admin_channel.Reload():
                self.reload()
            case admin_channel.BadCommand(reason):
                self._observe(observe.BadCommand(reason))
            case admin_channel.CommandsMissed():
                self._observe(observe.CommandsMissed())
            case _:
                assert_never(command)

    def reload(self) -> None:
        """Request that `run` reads keys and certificate again."""
        self._reload.set()

    async def run(self) -> None:
        """Reload on request, for ever; requests during a reload lead to one more."""
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
                raise keys.BadKey("is no longer in the file: restart the server")
            await authenticator.reload(auth)
        except configuration.Invalid as error:
            self._observe(observe.NotReloaded("the keys", str(error)))
        except keys.BadKey as error:
            self._observe(observe.NotReloaded("the keys", f"the key {error}"))
        else:
            self._observe(observe.Reloaded("the keys"))
