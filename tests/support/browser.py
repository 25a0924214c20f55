"""A real Chromium, and what every page's test wants of it.

Owns how the browser is started and what counts as a page gone wrong. Must not know any page.
"""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, WebSocketRoute, async_playwright, expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needed = pytest.mark.skipif(CHROMIUM is None, reason="THE PAGES ARE NOT TESTED: no chromium on this machine")

PATIENCE = 20_000
"""Milliseconds that a page has until it shows what is expected: the machine may be slow."""

expect.set_options(timeout=PATIENCE)

QUIET = [  # a browser that talks to nobody but the page's own server; as root it has no sandbox
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def running(*more: str) -> AsyncIterator[Browser]:
    """more: further options of the command line."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *more])
        yield browser
        await browser.close()


@asynccontextmanager
async def window(browser: Browser, width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
    """A page with a storage of its own; fails where a script failed or the page's own policy was broken."""
    wrong: list[str] = []
    page = await browser.new_page(viewport={"width": width, "height": height})
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    await page.context.close()
    assert wrong == []


async def interposed(page: Page) -> list[WebSocketRoute]:
    """The page's sockets to the server, each as it is opened, to close them or to add messages of the server's."""
    sockets: list[WebSocketRoute] = []

    def opened(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    await page.route_web_socket(re.compile("/rpc$"), opened)
    return sockets
