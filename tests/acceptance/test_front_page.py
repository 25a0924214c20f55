"""The front page in a real browser, against the demo's server.

Everything is found as a person finds it: by its role and its words.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest
import yaml
from playwright.async_api import Locator, Page, expect

from tests.support import browser, demo_process, pgrpc_server
from tests.support.databases import Database

DEMO = Path(__file__).parents[2] / "examples" / "demo.yaml"

pytestmark = browser.needed


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page in a browser of its own."""
    async with browser.running() as chromium, browser.window(chromium) as page:
        yield page


class Proxy:
    """A reverse proxy that serves a server below a path, and can be cut off from it."""

    def __init__(self, url: str, prefix: str) -> None:
        self._target = urlsplit(url)
        self._prefix = prefix.encode()
        self._open: set[asyncio.StreamWriter] = set()
        self._down = False
        self.url = ""

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}{self._prefix.decode()}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Ends every connection without a word, and takes no new one."""
        self._down = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self._down = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._down:
                return
            request, _, headers = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
            if not request.split()[1].startswith(self._prefix):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if b"upgrade: websocket" not in headers.lower():  # one connection for each: only its first path is changed
                headers = re.sub(rb"(?im)^connection:.*$", b"Connection: close", headers)
            their_reader, their_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
            self._open.add(their_writer)
            their_writer.write(request.replace(self._prefix, b"/", 1) + b"\r\n" + headers)
            await asyncio.gather(self._pump(reader, their_writer), self._pump(their_reader, writer))
        except (OSError, asyncio.IncompleteReadError):  # one side is gone
            pass
        finally:
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
            self._open.discard(writer)


async def visit(page: Page, url: str) -> None:
    await page.goto(url)
    await expect(page.get_by_role("status")).to_have_text("Connected")


async def subscribe(page: Page, channel: str) -> None:
    await page.get_by_role("button", name=f"Subscribe to {channel}", exact=True).click()
    await expect(row(page, channel)).to_contain_text("subscribed")


async def call(page: Page, method: str, params: str) -> Locator:
    """Calls as typed; where the answer appears."""
    await page.get_by_label("Method").fill(method)
    await page.get_by_role("textbox", name="Params").fill(params)
    await page.get_by_role("button", name="Call", exact=True).click()
    return page.get_by_role("region", name="Answer")


def row(page: Page, channel: str) -> Locator:
    """The line of a channel in the list."""
    return page.get_by_role("listitem").filter(has=page.get_by_text(channel, exact=True))


def events(page: Page) -> Locator:
    return page.get_by_role("log", name="Events").get_by_role("listitem")


async def test_functions_and_channels_are_listed(page: Page, demo_server: demo_process.Demo) -> None:
    """Exactly what the configuration names, with the arguments and words that the database has for it."""
    configured = yaml.safe_load(DEMO.read_text())

    await visit(page, demo_server.url)

    functions = page.get_by_role("region", name="Functions").get_by_role("listitem")
    await expect(functions).to_have_count(len(configured["functions"]))
    assert {text.partition("(")[0] for text in await functions.all_inner_texts()} == set(configured["functions"])
    insert = functions.filter(has_text="insert_person")
    await expect(insert).to_contain_text("insert_person(name, [age], [height])")
    await expect(insert).to_contain_text("Adds a person")
    channels = page.get_by_role("region", name="Channels").get_by_role("listitem")
    await expect(channels).to_have_count(len(configured["channels"]))
    assert await channels.locator("code").all_inner_texts() == list(configured["channels"])


async def test_a_call_shows_its_result_and_how_long_it_took(page: Page, demo_server: demo_process.Demo) -> None:
    await visit(page, demo_server.url)

    answer = await call(page, "add", "[1, 2]")

    await expect(answer.locator("pre")).to_have_text("3")
    await expect(page.get_by_text(re.compile(r"^[0-9.]+ m?s$"))).to_be_visible()


async def test_a_function_that_is_picked_fills_the_form(page: Page, demo_server: demo_process.Demo) -> None:
    """What must be given is there to be filled in, what may be given can be added."""
    await visit(page, demo_server.url)

    await page.get_by_role("button", name="insert_person").click()
    await expect(page.get_by_label("Method")).to_have_value("insert_person")
    params = page.get_by_role("textbox", name="Params")
    await expect(params).to_have_value('{\n  "name": ""\n}')
    await page.get_by_role("button", name="Add age").click()
    await expect(params).to_have_value('{\n  "name": "",\n  "age": 0\n}')


async def test_an_error_shows_its_code_message_and_data(page: Page, demo_server: demo_process.Demo) -> None:
    await visit(page, demo_server.url)

    answer = await call(page, "raise_error", '["P0042", "out of towels"]')

    await expect(answer).to_contain_text("Error -32000: out of towels")
    await expect(answer.locator("pre")).to_contain_text('"sqlstate": "P0042"')


async def test_params_that_are_not_json_are_not_sent(page: Page, demo_server: demo_process.Demo) -> None:
    await visit(page, demo_server.url)

    answer = await call(page, "add", "[1, 2")

    await expect(page.get_by_role("alert").filter(has_text="Not JSON")).to_be_visible()
    await expect(answer).to_be_hidden()


async def test_numbers_stay_as_they_were_written(page: Page, demo_server: demo_process.Demo) -> None:
    """JavaScript's own numbers would send 9007199254740992, and show 1.5."""
    await visit(page, demo_server.url)

    answer = await call(page, "set_task_done", '{"id": 9007199254740993}')
    await expect(answer).to_contain_text("there is no task 9007199254740993")
    answer = await call(page, "insert_person", '{"name": "Exact", "height": 1.50}')
    await expect(answer.locator("pre")).to_contain_text('"height": 1.50')


async def test_an_event_appears_on_the_channel_subscribed_to(page: Page, demo_server: demo_process.Demo) -> None:
    await visit(page, demo_server.url)
    await subscribe(page, "people")

    await call(page, "insert_person", '{"name": "Zaphod", "age": 42}')
    await expect(events(page)).to_have_count(1)
    await expect(events(page).first).to_contain_text("people")
    await expect(events(page).first).to_contain_text('"name": "Zaphod"')
    await expect(events(page).first).to_contain_text('"dml_action": "INSERT"')

    await call(page, "insert_person", '{"name": "Trillian"}')
    await expect(events(page)).to_have_count(2)
    await expect(events(page).first).to_contain_text("Trillian")  # the newest is on top


async def test_nothing_appears_after_unsubscribing(page: Page, demo_server: demo_process.Demo) -> None:
    await visit(page, demo_server.url)
    await subscribe(page, "people")
    await subscribe(page, "tall_people")

    await page.get_by_role("button", name="Unsubscribe from people", exact=True).click()
    await expect(row(page, "people")).not_to_contain_text("subscribed")
    await call(page, "insert_person", '{"name": "Slartibartfast", "height": 2.5}')

    await expect(events(page)).to_have_count(1)  # a notification goes to `people` first
    await expect(events(page).first).to_contain_text("tall_people")


async def test_a_channel_of_a_glob_is_asked_for_by_its_name(page: Page, demo_server: demo_process.Demo) -> None:
    await visit(page, demo_server.url)
    name = page.get_by_role("textbox", name="Name of a channel such as room.*")

    await name.fill("room.lobby")
    await name.press("Enter")
    await expect(row(page, "room.lobby")).to_contain_text("subscribed")

    await name.fill("elsewhere")
    await name.press("Enter")
    await expect(row(page, "elsewhere")).not_to_contain_text("waiting")
    await expect(page.get_by_role("button", name="Subscribe to elsewhere", exact=True)).to_be_visible()


async def test_what_people_write_is_shown_and_never_run(page: Page, demo_server: demo_process.Demo) -> None:
    message = '<img src=x onerror=\\"window.ran = true\\"></pre><script>window.ran = true</script>'
    await visit(page, demo_server.url)
    name = page.get_by_role("textbox", name="Name of a channel such as room.*")
    await name.fill("room.x")
    await name.press("Enter")
    await expect(row(page, "room.x")).to_contain_text("subscribed")

    await call(page, "say", f'{{"room": "x", "message": "{message}"}}')

    await expect(events(page).first).to_contain_text('"message": "<img src=x onerror=')
    await expect(events(page).first).to_contain_text("</pre><script>window.ran = true</script>")
    await expect(page.locator("img")).to_have_count(0)
    assert await page.evaluate("window.ran") is None


async def test_a_running_call_can_be_cancelled(page: Page, demo_server: demo_process.Demo) -> None:
    await visit(page, demo_server.url)

    answer = await call(page, "sleep", "[25]")
    await page.get_by_role("button", name="Cancel", exact=True).click()

    await expect(answer).to_contain_text("Error -32800")
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()


async def test_a_lost_connection_comes_back_with_its_subscriptions(page: Page, demo_server: demo_process.Demo) -> None:
    async with Proxy(demo_server.url, "/") as proxy:
        await visit(page, proxy.url)
        await subscribe(page, "people")
        answer = await call(page, "sleep", "[25]")

        proxy.cut()
        await expect(page.get_by_role("status")).to_contain_text("Not connected")
        await expect(page.get_by_role("status")).to_contain_text("(1006)")
        await expect(row(page, "people")).to_contain_text("waiting")
        await expect(answer).to_contain_text("The call may or may not have run")

        proxy.mend()
        await expect(page.get_by_role("status")).to_have_text("Connected")
        await expect(row(page, "people")).to_contain_text("subscribed")
        await call(page, "insert_person", '{"name": "Marvin"}')
        await expect(events(page).first).to_contain_text("Marvin")
        await page.goto("about:blank")


async def test_it_says_in_words_why_it_is_not_connected(page: Page, demo_server: demo_process.Demo) -> None:
    sockets = await browser.interposed(page)
    await visit(page, demo_server.url)

    await sockets[0].close(code=1012)

    await expect(page.get_by_role("status")).to_contain_text("the server is restarting (1012)")
    await expect(page.get_by_role("status")).to_have_text("Connected")


async def test_a_gap_is_shown_as_a_warning(page: Page, demo_server: demo_process.Demo) -> None:
    sockets = await browser.interposed(page)
    await visit(page, demo_server.url)

    params = '{"channels": ["people", "room.x"], "reason": "the database was away"}'
    sockets[0].send(f'{{"jsonrpc": "2.0", "method": "rpc.gap", "params": {params}}}')

    await expect(events(page).first).to_contain_text(
        "Events on people, room.x may have been lost (the database was away)"
    )


async def test_only_the_newest_events_are_kept(page: Page, demo_server: demo_process.Demo) -> None:
    sockets = await browser.interposed(page)
    await visit(page, demo_server.url)

    for number in range(250):
        params = f'{{"channel": "people", "payload": "number {number}"}}'
        sockets[0].send(f'{{"jsonrpc": "2.0", "method": "people", "params": {params}}}')

    await expect(events(page).first).to_contain_text("number 249")
    await expect(events(page)).to_have_count(200)
    await expect(page.get_by_text("250 received")).to_be_visible()


async def test_it_works_below_a_path_and_asks_nobody_else(page: Page, demo_server: demo_process.Demo) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url.replace("ws:", "http:", 1)))
    async with Proxy(demo_server.url, "/some/where/") as proxy:
        await visit(page, proxy.url)
        await expect((await call(page, "add", "[20, 22]")).locator("pre")).to_have_text("42")

        assert f"{proxy.url}rpc" in asked
        assert [url for url in asked if not url.startswith((proxy.url, "data:"))] == []
        await page.goto("about:blank")


async def test_it_fits_a_phone(page: Page, demo_server: demo_process.Demo) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await visit(page, demo_server.url)
    await call(page, "list_people", "")

    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_a_token_says_who_you_are(page: Page, embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute("""
        create role page_user;
        create function me() returns text stable language sql as 'select current_user::text';
    """)
    secret = "of-the-page" * 3
    auth = f"auth: {{secret: {secret}, roles: [page_user]}}\nfunctions: {{me: }}\n"
    try:
        with pgrpc_server.serving(tmp_path, embedded_database.dsn, auth) as server:
            await page.goto(server.url)
            await expect(page.get_by_role("alert").filter(has_text="a token is required")).to_be_visible()
            await page.get_by_label("Token").fill(jwt.encode({"role": "page_user"}, "not-of-the-page" * 3))
            await page.get_by_role("button", name="Use").click()
            await expect(page.get_by_role("alert").filter(has_text="signature is invalid")).to_be_visible()
            await page.get_by_label("Token").fill(f" {jwt.encode({'role': 'page_user'}, secret)} ")
            await page.get_by_role("button", name="Use").click()
            await expect(page.get_by_role("status")).to_have_text("Connected")
            await expect((await call(page, "me", "")).locator("pre")).to_have_text('"page_user"')
            await page.goto("about:blank")
    finally:
        embedded_database.execute("drop role page_user")
