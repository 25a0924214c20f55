"""Each example as its one command starts it, in two windows of a real browser that see each other's changes.

Everything is found as a person finds it: by its role and its words.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, WebSocketRoute, expect

from pgrpc.demo import embedded
from tests.support import browser, demo_process

pytestmark = [browser.needed, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """One PostgreSQL for all examples, as a person has who tries one after the other."""
    with demo_process.folder() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser.running() as started:
        yield started


@asynccontextmanager
async def two_windows(chromium: Browser, url: str) -> AsyncIterator[tuple[Page, Page]]:
    """A desktop's and a phone's, which is as wide as its screen in the end; both ask nobody but their own server."""
    asked: list[str] = []
    wrong: list[str] = []
    async with browser.window(chromium) as one, browser.window(chromium, 390, 844) as other:
        for page in (one, other):
            page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
            page.on("request", lambda request: asked.append(request.url))
            page.on("websocket", lambda socket: asked.append(socket.url.replace("ws:", "http:", 1)))
            await page.goto(url)
            await expect(page.get_by_role("status")).to_have_text("Connected")
        yield one, other
        assert await other.evaluate("document.documentElement.scrollWidth") == 390
        assert [address for address in asked if not address.startswith((url, "data:"))] == []
        assert wrong == []


# Chat


async def say(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send").click()


def message(page: Page, text: str) -> Locator:
    return page.get_by_role("log").get_by_role("listitem").filter(has_text=text)


async def test_chat(chromium: Browser, data: Path) -> None:
    with demo_process.running(data, "chat") as demo:
        async with two_windows(chromium, demo.url) as (ada, ben):
            await ada.get_by_label("You are").fill("Ada of the test")
            await say(ada, "Is anybody there?")
            await expect(message(ben, "Is anybody there?")).to_contain_text("Ada of the test")
            await expect(ada.get_by_role("textbox", name="Message", exact=True)).to_have_value("")

            # What people write is shown and never run.
            await say(ben, "<img src=x onerror='window.ran = true'>")
            await expect(message(ada, "<img src=x onerror=")).to_be_visible()
            await expect(ada.locator("img")).to_have_count(0)

            # A new room appears in every window; what is said in it arrives only there.
            await ada.get_by_role("textbox", name="Name of a new room").fill("Tea & Cake")
            await ada.get_by_role("button", name="Open the room").click()
            await ben.get_by_role("link", name="tea-cake").click()
            await expect(ben.get_by_text("No messages yet.")).to_be_visible()
            await expect(ada.get_by_role("log", name="Messages in tea-cake")).to_be_visible()
            await ada.get_by_role("link", name="lobby").click()
            await expect(message(ada, "Is anybody there?")).to_be_visible()
            await say(ada, "Only in the lobby")
            await expect(message(ada, "Only in the lobby")).to_be_visible()
            await ada.get_by_role("link", name="tea-cake").click()
            await say(ada, "Milk first")
            await expect(message(ben, "Milk first")).to_be_visible()
            await expect(message(ben, "Only in the lobby")).to_have_count(0)

            # A name that is none is refused with a hint for people, not with a pattern.
            await ada.get_by_role("textbox", name="Name of a new room").fill("!!!")
            await ada.get_by_role("button", name="Open the room").click()
            await expect(ada.get_by_role("alert")).to_have_text(
                re.compile("^A room name needs 1 to 30 letters and digits")
            )
            await expect(ada.get_by_role("alert")).to_have_attribute("title", re.compile("^Invalid params: /name: "))

            # The longest message there can be fits a notification, whoever wrote it.
            longest = "repeat(chr(1), 40), repeat(chr(1), 1000)"
            demo.psql(f"insert into messages (room, author, text) values ('tea-cake', {longest})")
            await expect(ben.get_by_role("log").get_by_role("listitem")).to_have_count(2)


async def test_chat_comes_back_after_the_server_restarts(chromium: Browser, data: Path) -> None:
    """With what was said meanwhile."""
    async with browser.window(chromium) as page:
        with demo_process.running(data, "chat") as demo:
            await page.goto(demo.url)
            await expect(message(page, "Good morning!")).to_be_visible()
        await expect(page.get_by_role("status")).to_contain_text("retrying")
        await say(page, "Typed while away")
        await expect(page.get_by_role("alert")).to_have_text("Not connected: try again.")
        with embedded.Server(data / "postgresql") as postgres:  # without the web server
            alone = demo_process.Demo("", postgres.dsn("chat"))
            alone.psql("insert into messages (room, author, text) values ('lobby', 'Eve', 'Said while away')")
        with demo_process.running(data, "chat", port=urlsplit(demo.url).port or 0):
            # By now the page may wait for half a minute until it tries.
            await expect(page.get_by_role("status")).to_have_text("Connected", timeout=3 * browser.PATIENCE)
            await expect(message(page, "Said while away")).to_have_count(1)
            await page.get_by_role("button", name="Send").click()
            await expect(message(page, "Typed while away")).to_have_count(1)


# Map


async def expect_at(page: Page, vehicle: int, x: int, y: int) -> None:
    await expect(page.locator(f'.vehicle[data-id="{vehicle}"]')).to_have_attribute("data-at", f"{x},{y}")


async def test_map(chromium: Browser, data: Path) -> None:
    with demo_process.running(data, "map") as demo:
        async with two_windows(chromium, demo.url) as (one, other):
            await expect_at(other, 1, 2, 2)
            await one.get_by_role("button", name="East").click()
            await one.keyboard.press("ArrowDown")
            for page in (one, other):
                await expect_at(page, 1, 3, 3)

            await other.get_by_text("Bus", exact=True).last.click()
            await expect(other.get_by_role("radio", name="Bus")).to_be_checked()
            await other.get_by_role("button", name="North").click()
            for page in (one, other):
                await expect_at(page, 2, 5, 3)

            # As the hint says: in the list of vehicles the arrow keys choose, after Tab they drive.
            await expect(other.get_by_text("press Tab to leave the list")).to_be_visible()
            await other.get_by_role("radio", name="Bus").focus()
            await other.keyboard.press("ArrowUp")
            await expect(other.get_by_role("radio", name="Taxi")).to_be_checked()
            await other.keyboard.press("ArrowDown")
            await expect(other.get_by_role("radio", name="Bus")).to_be_checked()
            await other.keyboard.press("Tab")
            await other.keyboard.press("ArrowDown")
            for page in (one, other):
                await expect_at(page, 2, 5, 4)

            demo.psql("update vehicles set x = 0, y = 0 where name = 'Taxi'")
            for page in (one, other):
                await expect_at(page, 1, 0, 0)
            await expect(one.get_by_role("button", name="West")).to_have_attribute("aria-disabled", "true")
            await one.get_by_role("button", name="South").click()
            await expect_at(other, 1, 0, 1)

            # The built-in front page has made room, and works where it is now.
            await one.goto(f"{demo.url}_pgrpc/")
            await expect(one.get_by_role("status")).to_have_text("Connected")
            await expect(one.get_by_role("region", name="Functions").get_by_role("listitem")).to_have_count(2)


# People


def person(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


async def test_people(chromium: Browser, data: Path) -> None:
    with demo_process.running(data, "people") as demo:
        async with two_windows(chromium, demo.url) as (one, other):
            tall = other.get_by_role("log", name="Tall people")
            await expect(tall.get_by_role("listitem")).to_have_count(2)

            demo.psql("update people set height = 2.05 where name = 'Ada'")
            await expect(tall.get_by_role("listitem").first).to_have_text("Ada was measured: 2.05 m")
            demo.psql("update people set height = 1.99, name = '<b>Grace</b>' where name = 'Grace'")
            demo.psql("insert into people (name, born, height) values ('Zoe', 2001, 2.01)")
            demo.psql("delete from people where name = 'Linus'")
            for page in (one, other):
                await expect(person(page, "Ada")).to_contain_text("2.05 m")
                await expect(person(page, "<b>Grace</b>")).to_contain_text("1.99 m")
                await expect(person(page, "Zoe")).to_contain_text("2001")
                await expect(person(page, "Linus")).to_have_count(0)
                await expect(page.get_by_text("6 rows")).to_be_visible()
            await expect(tall.get_by_role("listitem").first).to_have_text("Zoe is new: 2.01 m")
            await expect(tall).not_to_contain_text("Grace")

            # A change by one page arrives in the other.
            await one.get_by_role("textbox", name="Name").fill("Yaa")
            await one.get_by_role("textbox", name="Height").fill("9.5")
            await one.get_by_role("button", name="Add").click()
            await expect(one.get_by_role("alert")).to_contain_text("height: must be at most 3")
            await one.get_by_role("textbox", name="Height").fill("1.6")
            await one.get_by_role("button", name="Add").click()
            await expect(person(other, "Yaa")).to_contain_text("1.60 m")
            await other.get_by_role("button", name="Remove Yaa").click()
            await expect(person(one, "Yaa")).to_have_count(0)


async def test_a_page_that_reads_slowly_or_receives_a_gap_is_not_left_behind(chromium: Browser, data: Path) -> None:
    held: asyncio.Queue[str | bytes] = asyncio.Queue()
    sockets: list[WebSocketRoute] = []
    asked: list[int] = []

    def opened(socket: WebSocketRoute) -> None:
        """Between page and server, holding back what is read until it is let go."""
        server = socket.connect_to_server()
        sockets.append(socket)

        def to_server(text: str | bytes) -> None:
            request = json.loads(text)
            if request["method"] == "list_people":
                asked.append(request["id"])
            server.send(text)

        def to_page(text: str | bytes) -> None:
            if len(asked) == 1 and json.loads(text).get("id") == asked[0]:
                held.put_nowait(text)
            else:
                socket.send(text)

        socket.on_message(to_server)
        server.on_message(to_page)

    with demo_process.running(data, "people") as demo:
        demo.psql("insert into people (name, height) values ('Ida', 1.50)")
        async with browser.window(chromium) as page:
            await page.route_web_socket(re.compile("/rpc$"), opened)
            tall = page.get_by_role("log", name="Tall people").get_by_role("listitem")
            await page.goto(demo.url)
            await expect(tall.first).to_be_visible()
            late = await asyncio.wait_for(held.get(), browser.PATIENCE / 1000)
            demo.psql("update people set height = 2.22 where name = 'Ida'")
            await expect(tall.first).to_contain_text(
                "Ida was measured"
            )  # so the page has received the row's event as well
            sockets[0].send(late)  # where she has 1.50 m
            await expect(person(page, "Ida")).to_contain_text("2.22 m")

            asked.clear()
            asked.append(0)  # nothing is held from here on
            demo.psql(
                "alter table people disable trigger user; update people set height = 1.11 where name = 'Ida';"
                "alter table people enable trigger user"
            )
            params = {"channels": ["people"], "reason": "the test says so"}
            sockets[0].send(json.dumps({"jsonrpc": "2.0", "method": "rpc.gap", "params": params}))
            await expect(person(page, "Ida")).to_contain_text("1.11 m")


# Auction


def lot(page: Page, title: str) -> Locator:
    return page.get_by_role("article", name=title)


async def bid(page: Page, title: str, amount: str) -> Locator:
    """What the page says to it."""
    await lot(page, title).get_by_role("textbox", name="Your bid").fill(amount)
    await lot(page, title).get_by_role("button", name="Bid").click()
    return lot(page, title).get_by_role("alert")


async def test_auction(chromium: Browser, data: Path) -> None:
    telescope = "Brass telescope"
    with demo_process.running(data, "auction") as demo:
        demo.psql("update items set ends_at = now() + interval '1 hour'")
        async with two_windows(chromium, demo.url) as (one, other):
            await one.get_by_label("You are").fill("One")
            await other.get_by_label("You are").fill("Two")
            chart = lot(other, telescope).get_by_role("img")
            await expect(chart).to_have_accessible_name(f"6 bids on {telescope}, from €80 to €140")

            await expect(await bid(one, telescope, "150,50")).to_have_text("You bid €150.50.")
            await expect(lot(one, telescope)).to_contain_text("by you")
            await expect(lot(other, telescope)).to_contain_text(re.compile(r"€150\.50\s*by One"))
            await expect(chart).to_have_accessible_name(f"7 bids on {telescope}, from €80 to €150.50")
            await expect(lot(other, telescope).get_by_role("textbox", name="Your bid")).to_have_value("155.5")

            # What the database refuses is said in words.
            await expect(await bid(one, telescope, "200")).to_contain_text("Your bid is already the highest")
            await expect(await bid(other, telescope, "151")).to_contain_text("Bid €155.50 or more")
            await expect(await bid(other, telescope, "160")).to_have_text("You bid €160.")
            await expect(lot(one, telescope)).to_contain_text("by Two")

            # It ends for everybody, and begins again.
            demo.psql("update items set ends_at = now() where id = 1")
            for page in (one, other):
                await expect(lot(page, telescope).get_by_role("timer")).to_have_text("Sold")
                await expect(lot(page, telescope).get_by_role("button", name="Bid")).to_be_hidden()
            await lot(one, telescope).get_by_role("button", name="Start again").click()
            await expect(lot(other, telescope)).to_contain_text("starting price")
            await expect(lot(other, telescope).get_by_role("timer")).to_have_text(re.compile(r"^1[45]:\d\d$"))

            # A bid at the last moment leaves the others ten seconds.
            left = demo.psql(
                "begin; update items set ends_at = clock_timestamp() + interval '5 s' where id = 2;"
                "select amount from place_bid(2, 'Late', 500);"
                "select ends_at - clock_timestamp() > '6 s' from items where id = 2; commit"
            )
            assert left == "500.00\nt"
            await expect(lot(other, "Blue teapot")).to_contain_text("by Late")


# Private letters


async def sign_in(page: Page, name: str, password: str) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def write_letter(page: Page, recipient: str, text: str) -> None:
    await page.get_by_label("To").select_option(recipient)
    await page.get_by_role("textbox", name="Letter").fill(text)
    await page.get_by_role("button", name="Send").click()


def letters(page: Page) -> Locator:
    return page.get_by_role("log", name="Letters").get_by_role("listitem")


async def asked_for(page: Page, method: str, params: Any, token: str) -> Any:
    """What the server answers to one request of a page that comes with a token."""
    text = await page.evaluate(
        """([method, params, token]) => new Promise((done, failed) => {
            const url = new URL('rpc', document.baseURI);
            url.protocol = url.protocol.replace('http', 'ws');
            const socket = new WebSocket(url, ['pgrpc', `bearer.${token}`]);
            socket.onopen = () => socket.send(JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }));
            socket.onmessage = (event) => { done(event.data); socket.close(); };
            socket.onclose = failed;
        })""",
        [method, params, token],
    )
    return json.loads(text)


async def test_private(chromium: Browser, data: Path) -> None:
    with demo_process.running(data, "private") as demo:
        async with two_windows(chromium, demo.url) as (ann, bob), browser.window(chromium) as eve:
            await eve.goto(demo.url)
            await sign_in(ann, "ann", "bob-password")
            await expect(ann.get_by_role("alert")).to_have_text("The name or the password is wrong.")
            for page, name in ((ann, "ann"), (bob, "bob"), (eve, "eve")):
                await sign_in(page, name, f"{name}-password")
                await expect(page.get_by_text("Signed in as")).to_contain_text(name)
            await expect(letters(ann)).to_have_count(1)
            await expect(letters(bob)).to_have_count(2)
            await expect(letters(eve)).to_have_count(1)

            # Both see it at once, the third one never.
            await write_letter(ann, "bob", "<b>Only</b> for you, Bob")
            for page in (ann, bob):
                await expect(letters(page).last).to_contain_text("ann to bob")
                await expect(letters(page).last).to_contain_text("<b>Only</b> for you, Bob")
            await write_letter(eve, "bob", "What did she write?")
            await expect(letters(eve)).to_have_count(2)
            await expect(letters(bob)).to_have_count(4)
            await expect(letters(ann)).to_have_count(2)
            await eve.reload()
            await expect(letters(eve)).to_have_count(2)

            # Nor by asking for it, with a token of one's own.
            token = await eve.evaluate("sessionStorage.getItem('token')")
            answer = await asked_for(eve, "rpc.on", ["letters.eve", "letters.bob", "letters.*"], token)
            assert answer["result"]["letters.eve"] == "ok"
            assert answer["result"]["letters.bob"] == "not allowed"
            assert answer["result"]["letters.*"] != "ok"
            assert "Only" not in json.dumps(await asked_for(eve, "letters", [], token))
            assert (await asked_for(eve, "login", ["ann", "ann-password"], token))["error"]["code"] == -32003

            # Who has left sees nothing more.
            await bob.get_by_role("button", name="Sign out").click()
            await expect(bob.get_by_role("button", name="Sign in")).to_be_visible()
            await expect(letters(bob)).to_have_count(0)


async def test_a_sign_in_is_renewed_or_ends(chromium: Browser, data: Path) -> None:
    with demo_process.running(data, "private") as demo:
        async with browser.window(chromium) as renewed, browser.window(chromium) as left:
            for page in (renewed, left):
                await page.goto(demo.url)
                await sign_in(page, "ann", "ann-password")
            await left.get_by_label("Stay signed in").uncheck()
            secret = (data / "secret").read_text().strip()
            short = []
            for page in (renewed, left):
                end = int(time.time()) + 6  # for a reload on a slow machine
                token = jwt.encode({"sub": "ann", "role": "private_user", "exp": end}, secret, "HS256")
                short.append(token)
                await page.evaluate("token => sessionStorage.setItem('token', token)", token)
                await page.reload()
                await expect(page.get_by_text("Signed in as")).to_contain_text("ann")

            await expect(left.get_by_role("alert")).to_have_text("Your session has expired: sign in again.")
            await expect(left.get_by_role("button", name="Sign in")).to_be_visible()
            await expect(letters(left)).to_have_count(0)
            assert time.time() > end
            await write_letter(renewed, "eve", "Still here")
            await expect(letters(renewed).last).to_contain_text("Still here")
            assert await renewed.evaluate("sessionStorage.getItem('token')") not in short
