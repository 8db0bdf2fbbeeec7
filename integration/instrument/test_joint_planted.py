"""Defects planted in an app, and how its map of error paths changes: from source to findings.

The app is run as it was and with all plants in it, by the same clients; each plant is in a function of its
own.
"""

from __future__ import annotations

import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest

from integration.instrument.agentchat import LIMITS, delta, end, follow, started, turn
from integration.proxied import proxied
from integration.timing import PATIENCE_S
from load.drivers.raw import RawClient, say
from load.drivers.websocket import WebSocketDriver
from load.joint import Joint, findings, join
from load.metrics.outcomes import Outcomes
from load.target.config import TargetConfig
from load.target.launch import Target, launch
from load.verdict.errorpaths import CONCURRENT, SMELL
from load.verdict.errorpaths import Path as ErrorPath
from load.verdict.rules import Rules

APP = f"""\
import asyncio
from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse

app = FastAPI()
paying = asyncio.Lock()
second = asyncio.Event()


class SoldOut(Exception):
    code = "sold_out"


def take(shelf):
    if not shelf:
        raise SoldOut


@app.post("/sell")
async def sell():
    try:
        take([])
    except SoldOut:
        raise HTTPException(410)


@app.post("/order")
async def order():
    try:
        {{}}["bread"]
    except KeyError:
        return JSONResponse({{}}, status_code=424)


@app.post("/pay")
async def pay():
    async with paying:
        return None


@app.websocket("/talk")
async def talk(socket: WebSocket):
    await socket.accept()
    await socket.receive_text()
    await socket.send_json({started()!r})
    await socket.send_json({delta(2, "x")!r})
    await socket.close(1011)
"""

PLANTS = {
    "a swallowed exception": (
        "    if not shelf:\n        raise SoldOut\n",
        "    try:\n        if not shelf:\n            raise SoldOut\n    except Exception:\n        pass\n",
    ),
    "a removed handler": (
        (
            '    try:\n        {}["bread"]\n    except KeyError:\n'
            "        return JSONResponse({}, status_code=424)\n"
        ),
        '    {}["bread"]\n',
    ),
    "a race": (
        "    async with paying:\n        return None\n",
        (
            "    if paying.locked():\n        second.set()\n"
            "        return JSONResponse({}, status_code=409)\n"
            "    async with paying:\n        await second.wait()\n"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """The map of one lifetime, and what clients were told in it."""

    joint: Joint

    def paths(self, function: str) -> dict[str, ErrorPath]:
        """By kind, what kind and detail."""
        assert self.joint.paths is not None
        return {
            path.site.id.split("::")[2].removesuffix("#1"): path
            for path in self.joint.paths.paths
            if f"::{function}::" in path.site.id
        }

    def results(self, label: str) -> dict[str, str]:
        """Of each code that clients of that label were told, or were sent."""
        plain = self.joint.plain
        assert plain is not None
        return {one["code"]: one["result"] for one in plain["reconciliation"] if one["label"] == label}


def said(path: ErrorPath) -> list[tuple[str, str | None, int]]:
    """Label, exception and count of its hits."""
    return [(hit.label, hit.exception, hit.count) for hit in path.hits]


def shop(folder: Path, *plants: str) -> Target:
    """The running app, with these in it."""
    source = APP
    for name in plants:
        old, new = PLANTS[name]
        assert source.count(old) == 1, name
        source = source.replace(old, new)
    (folder / "planted").mkdir(parents=True)
    (folder / "planted" / "__init__.py").write_text("")
    (folder / "planted" / "app.py").write_text(source)
    return launch(TargetConfig("planted.app:app", folder, coverage="off"), folder / "run", "load")


def post(target: Target, path: str) -> int:
    request = urllib.request.Request(target.url + path, b"", {"x-load-scenario": path.strip("/")})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE_S) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def talked(target: Target, outcomes: Outcomes, folder: Path) -> None:
    """Conversations that are ended with 1011: one is told so, one has left before, one is cut on the way."""

    def driver(label: str, address: str) -> WebSocketDriver:
        return WebSocketDriver(
            f"ws://{address}/talk",
            {"x-load-scenario": label},
            LIMITS,
            hear=lambda what: outcomes.connection(label, what),
        )

    address = target.url.removeprefix("http://")
    told = driver("told", address)
    assert end(follow(told, turn()))[0] == "CUT_OFF"
    told.close()
    with RawClient.connect(
        f"ws://{address}/talk", int(PATIENCE_S * 1e9), hear=lambda what: outcomes.connection("left", what)
    ) as left:
        left.send(left.handshake({"x-load-scenario": "left"}))
        assert left.answer().status == 101
        left.send(say(message="Hello?"))
        assert left.message()["type"] == "started"
        left.reset()
    with proxied(folder, "--mode", "ws", "--to", address, "--plan", "cut 1 rst") as proxy:
        cut = driver("cut", proxy.address)
        assert end(follow(cut, turn()))[:2] == ("CUT_OFF", "reset")
        cut.close()


def visited(folder: Path, *plants: str) -> Mapped:
    """All of the app's clients, then its end."""
    folder.mkdir()
    outcomes = Outcomes()
    target = shop(folder, *plants)
    try:
        for path in ("sell", "order"):
            status = post(target, f"/{path}")
            if status >= 400:
                outcomes.tell(path, str(status))
        with ThreadPoolExecutor(2) as pool:
            paid = Counter(pool.map(lambda _: post(target, "/pay"), range(2)))
        if paid[409]:
            outcomes.tell("pay", "409", paid[409])
        talked(target, outcomes, folder)
    finally:
        target.stop()
    joint = join(
        folder / "run",
        None,
        Rules(),
        began_ns=0,
        told=outcomes.told,
        connections=outcomes.connections,
        of_tests=folder / "no tests",
    )
    return Mapped(joint)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapped, Mapped]:
    """As it was, and with all plants."""
    folder = tmp_path_factory.mktemp("visited")
    with ThreadPoolExecutor(2) as pool:
        clean = pool.submit(visited, folder / "clean")
        planted = pool.submit(visited, folder / "planted", *PLANTS)
        return clean.result(), planted.result()


def test_a_swallowed_exception(both: tuple[Mapped, Mapped]) -> None:
    """The handler of everything is a smell, and what lies behind it is lost by name."""
    clean, planted = both
    swallow = planted.paths("take")["except:catch-all:Exception"]
    lost = findings(planted.joint, Rules(), rows=(), base=clean.joint.plain)

    assert said(clean.paths("sell")["except:domain:SoldOut"]) == [("sell", "SoldOut", 1)]
    assert said(planted.paths("sell")["except:domain:SoldOut"]) == []
    assert (said(swallow), swallow.notes) == ([("sell", "SoldOut", 1)], (SMELL,))
    assert [one.ids[0] for one in lost if one.reason.startswith("lost: ")] == [
        "planted/app.py::sell::except:domain:SoldOut#1",
        "planted/app.py::sell::raise:translate:HTTPException#1",
    ]
    assert (clean.results("sell"), planted.results("sell")) == ({"410": "matched"}, {})


def test_a_removed_handler(both: tuple[Mapped, Mapped]) -> None:
    """Its paths are gone, and what clients are told now has no place in the app."""
    clean, planted = both

    assert {name: said(path) for name, path in clean.paths("order").items()} == {
        "except:domain:KeyError": [("order", "KeyError", 1)],
        "respond:http-4xx:424": [("order", None, 1)],
    }
    assert planted.paths("order") == {}
    assert (clean.results("order"), planted.results("order")) == ({"424": "matched"}, {"500": "implicit"})


def test_a_path_that_only_two_requests_at_once_reach(both: tuple[Mapped, Mapped]) -> None:
    """It says so; one that is reached alone does not."""
    clean, planted = both
    race = planted.paths("pay")["respond:http-4xx:409"]

    assert clean.paths("pay") == {}
    assert (said(race), race.notes) == ([("pay", None, 1)], (CONCURRENT,))
    assert planted.paths("take")["raise:domain:SoldOut"].notes == ()
    assert planted.results("pay") == {"409": "matched"}


def test_a_lost_close(both: tuple[Mapped, Mapped]) -> None:
    """A close that was cut on its way is a finding, one whose client had left is none."""
    for mapped in both:
        (close,) = mapped.paths("talk").values()
        assert {hit.label: (hit.code, hit.count) for hit in close.hits} == dict.fromkeys(
            ("told", "left", "cut"), ("1011", 1)
        )
        assert [mapped.results(label) for label in ("told", "left", "cut")] == [
            {"1011": "matched"},
            {"1011": "our end"},
            {"1011": "lost close"},
        ]
        assert [(one.scenario, one.reason) for one in findings(mapped.joint, Rules(), rows=())] == [
            ("cut", "lost close: 1011 sent 1 times, told 0 times")
        ]
