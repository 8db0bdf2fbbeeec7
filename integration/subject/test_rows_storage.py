"""Rows D on SQLite and on PostgreSQL alike: locks, an exhausted pool, races, and what a turn stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from integration.clocks import Clocks
from integration.subject import stage
from integration.subject.ahead import Ahead, Kind, Server
from integration.subject.clients import Agent, Caller, Frame, Service, answer_of, first, hear, say, text_of
from integration.subject.databases import count
from integration.subject.stage import assert_row, assert_whole, ended
from integration.timing import MS, PATIENCE_S, eventually, eventually_async
from integration.upstream import Upstream
from load.faults.database import Faults, open_database

pytestmark = pytest.mark.anyio

T = TypeVar("T")

LOCK_MS = 400
POOL_MS = 300
LONG_LOCK_MS = 1500
SETTINGS = {
    "BACKEND_DB_LOCK_TIMEOUT": "0.4",
    "BACKEND_DB_POOL_TIMEOUT": "2",
    # A sweep every half second, so that what could not be written is soon tried again.
    "BACKEND_LEASE_TTL": "1.5",
}
CROWDED = {
    "BACKEND_DB_POOL_SIZE": "1",
    "BACKEND_DB_POOL_TIMEOUT": "0.3",
    "BACKEND_DB_LOCK_TIMEOUT": str(LONG_LOCK_MS / 1000),
    # No sweep comes between: the one connection is for the requests.
    "BACKEND_LEASE_TTL": "600",
}
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
STORAGE = {
    kind: Server(f"storage-{kind}", stage.GENEROUS | SETTINGS, kind=kind, provided=True) for kind in KINDS
}
CROWDS = {kind: Server(f"crowded-{kind}", stage.GENEROUS | CROWDED, kind=kind) for kind in KINDS}
AHEAD = [servers[kind] for kind in KINDS for servers in (STORAGE, CROWDS)]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(autouse=True)
def counted(pytestconfig: pytest.Config, kind: str) -> None:
    count(pytestconfig, kind)


@pytest.fixture(scope="module")
def service(ahead: Ahead, kind: Kind) -> Iterator[Service]:
    with ahead.running(STORAGE[kind]) as running:
        yield running


@pytest.fixture
def crowded(ahead: Ahead, kind: Kind) -> Iterator[Service]:
    with ahead.running(CROWDS[kind]) as running:
        yield running


@pytest.fixture
def faults(service: Service) -> Iterator[Faults]:
    yield from faults_of(service)


def faults_of(service: Service) -> Iterator[Faults]:
    faults = Faults(open_database(service.target.database_url or ""), None)
    yield faults
    faults.unlock()


@pytest.fixture(scope="module")
def quick(service: Service) -> Agent:
    return service.agent()


@pytest.fixture(scope="module")
def slow(service: Service) -> Agent:
    """Four words in 600 ms: time to take a lock between the first and the last."""
    return service.agent(tokens=4, interval_ms=200)


async def assert_next_is_served(service: Service, user: Caller, agent: Agent) -> None:
    frames = await service.converse(agent, user.person)
    assert frames[-1]["type"] == "done"
    assert_whole(frames)
    assert_row(service.run(frames[0]["execution_id"]), "COMPLETED", None, text_of(frames))


# D1, D2, D3: locks


async def test_D1_locked_when_a_run_is_created(
    service: Service, user: Caller, upstream: Upstream, quick: Agent, faults: Faults
) -> None:
    """503 once the lock timeout is over, tried once; nothing is stored, nobody asked; readers go on."""
    told = stage.story(service, upstream, [["delta", "Hello"], *stage.THE_END])
    async with service.connect(told.agent, user.person) as connection:
        faults.lock(30)
        answer = await anyio.to_thread.run_sync(user.chat, told.agent)
        await say(connection, message="Hello", request_id="locked")
        frame = await hear(connection)
        reading = await anyio.to_thread.run_sync(user.get, f"/api/agents/{quick.id}")
        faults.unlock()
        stored, asked = service.runs_of(user.person), told.requests()
        await say(connection, message="Hello", request_id="locked")
        after = await answer_of(connection)

    assert answer.status_code == 503
    assert answer.json()["code"] == "storage_unavailable"
    assert answer.json()["retryable"] is True
    assert int(answer.headers["Retry-After"]) >= 1
    assert frame["type"] == "error"
    assert frame["error"]["code"] == "storage_unavailable"
    assert (frame["request_id"], frame["fatal"], "execution_id" in frame) == ("locked", False, False)
    assert reading.status_code == 200
    assert (stored, asked) == ([], [])
    assert after[-1]["type"] == "done"
    await assert_next_is_served(service, user, quick)


async def test_D2_locked_at_the_end_clears_in_time(
    service: Service, user: Caller, quick: Agent, slow: Agent, faults: Faults
) -> None:
    """The commit is tried again: `done` comes late, after the lock, and the row is COMPLETED."""
    async with service.connect(slow, user.person) as connection:
        await say(connection, message="Hello")
        frames = [await first(connection, "started"), await first(connection, "delta")]
        faults.lock(30)
        frames += [await first(connection, "delta") for _ in range(3)]
        await anyio.sleep(1.5 * LOCK_MS * MS)  # into the second of four attempts
        locked = service.run(frames[0]["execution_id"])
        freed_at = time.monotonic()
        faults.unlock()
        frames += await answer_of(connection)

    assert time.monotonic() >= freed_at
    assert locked["status"] == "RUNNING"
    assert_whole(frames)
    assert [frame["type"] for frame in frames] == ["started", *["delta"] * 4, "done"]
    assert frames[-1]["response"] == text_of(frames)
    assert_row(service.run(frames[0]["execution_id"]), "COMPLETED", None, text_of(frames))
    await assert_next_is_served(service, user, quick)


async def test_D3_locked_at_the_end_does_not_clear(
    service: Service, user: Caller, quick: Agent, slow: Agent, faults: Faults
) -> None:
    """After four attempts the frame says what is true: not stored; a sweep writes the row when it can."""
    async with service.connect(slow, user.person) as connection:
        await say(connection, message="Hello")
        frames = [await first(connection, "started"), await first(connection, "delta")]
        faults.lock(30)
        frames += await answer_of(connection)
        row = service.run(frames[0]["execution_id"])
        faults.unlock()

    assert row["status"] == "RUNNING"
    assert_whole(frames)
    assert frames[-1]["type"] == "error"
    assert frames[-1]["error"]["code"] == "storage_unavailable"
    assert frames[-1]["partial"] == text_of(frames)
    later = await anyio.to_thread.run_sync(ended, service, row["id"])
    assert_row(later, "INTERRUPTED", "storage_unavailable", text_of(frames))
    assert service.metrics()["runs_unsettled"] == 0
    await assert_next_is_served(service, user, quick)


# D7: the pool


async def test_D1_D7_pool_exhausted(crowded: Service, clocks: Clocks) -> None:
    """The only connection waits for a lock, others wait for the pool, each as long as its clock says."""
    users = [crowded.caller(), crowded.caller()]
    agent = crowded.agent()
    faults = Faults(open_database(crowded.target.database_url or ""), None)
    faults.lock(30)
    answers: list[httpx2.Response] = []

    async def ask(user: Caller, clock: str, limit_ms: int) -> None:
        began = time.monotonic()
        answers.append(await anyio.to_thread.run_sync(user.chat, agent))
        clocks.fired(clock, limit_ms, round((time.monotonic() - began) * 1000))

    async with anyio.create_task_group() as group:
        group.start_soon(ask, users[0], "db_lock_timeout", LONG_LOCK_MS)
        await anyio.sleep(300 * MS)  # the first is inside its transaction
        await ask(users[1], "db_pool_timeout", POOL_MS)
    faults.unlock()

    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["code"] == "storage_unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    metrics = crowded.metrics()
    assert metrics['db_errors_total{kind="pool_timeout"}'] == 1
    assert metrics['db_errors_total{kind="busy"}'] == 1
    for user in users:
        assert crowded.runs_of(user.person) == []
        served = user.chat(agent)
        assert served.status_code == 200
        assert_row(crowded.run(served.json()["execution_id"]), "COMPLETED", None, served.json()["response"])


# D11: races


def at_once(works: list[Callable[[], T]]) -> list[T]:
    """All behind one barrier, each in a thread; their results."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T:
        barrier.wait(PATIENCE_S)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_D11_race_on_a_name(service: Service, user: Caller, quick: Agent) -> None:
    """Of eight agents of one name one is made; the others are told 409 `conflict`."""
    body = {"name": "The only one", "model": "embedded/markov-1"}
    answers = at_once([lambda: service.admin.post("/api/agents", body)] * 8)

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] + [409] * 7
    assert {answer.json().get("code") for answer in answers} == {None, "conflict"}
    assert service.rows("SELECT count(*) AS n FROM agent_registry WHERE name = 'The only one'") == [{"n": 1}]
    assert user.chat(quick).status_code == 200


def test_D11_race_on_a_feedback(service: Service, user: Caller, quick: Agent) -> None:
    """Of eight feedbacks of one user on one run one counts; the others are 409 `feedback_exists`."""
    execution_id = user.chat(quick).json()["execution_id"]
    body = {"execution_id": execution_id, "feedback_type": "thumbs_up"}
    answers = at_once([lambda: user.post(f"/api/agents/{quick.id}/feedback", body)] * 8)

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert {answer.json().get("code") for answer in answers} == {None, "feedback_exists"}
    stored = service.rows(
        "SELECT count(*) AS n FROM agent_feedback WHERE execution_id = :id", id=execution_id
    )
    assert stored == [{"n": 1}]
    assert user.chat(quick).status_code == 200


def test_D11_race_on_a_request_id_over_http(
    service: Service, user: Caller, quick: Agent, slow: Agent
) -> None:
    """Of eight equal requests one is answered; the others are told that it is in progress."""
    answers = at_once([lambda: user.chat(slow, request_id="race")] * 8)

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    [answered] = [answer.json() for answer in answers if answer.status_code == 200]
    others = [answer.json() for answer in answers if answer.status_code == 409]
    assert {other["code"] for other in others} == {"request_in_progress"}
    assert {other["execution_id"] for other in others} == {answered["execution_id"]}
    [row] = service.runs_of(user.person)
    assert_row(row, "COMPLETED", None, answered["response"])
    assert user.chat(slow, request_id="race").json() == {**answered, "replayed": True}
    assert user.chat(quick).status_code == 200


async def test_D11_race_on_a_request_id_over_streams(
    service: Service, user: Caller, quick: Agent, slow: Agent
) -> None:
    """Of six equal requests one starts the run and each attaches to it; the last to come keeps it."""
    views: list[list[Frame]] = []
    codes: list[int | None] = []

    async def ask() -> None:
        async with service.connect(slow, user.person) as connection:
            ready.append(1)
            await eventually_async(lambda: len(ready) == 6, "six connections")
            await say(connection, message="Hello", request_id="race")
            frames: list[Frame] = []
            with anyio.fail_after(PATIENCE_S):
                try:
                    while not frames or not frames[-1]["done"]:
                        frames.append(await hear(connection))
                    if frames[-1].get("fatal"):
                        await connection.recv()
                except ConnectionClosed:
                    codes.append(connection.close_code)
            views.append(frames)

    ready: list[int] = []
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(ask)

    ends = [view[-1]["type"] for view in views]
    assert sorted(ends) == ["done"] + ["error"] * 5
    assert codes == [4409] * 5
    [whole] = [view for view in views if view[-1]["type"] == "done"]
    assert_whole(whole)
    for view in views:
        if view is not whole:
            assert view[-1]["error"]["code"] == "superseded"
            assert view[:-1] == whole[: len(view) - 1]
    [row] = service.runs_of(user.person)
    assert_row(row, "COMPLETED", None, text_of(whole))
    await assert_next_is_served(service, user, quick)


# What a turn stores and how it is read again


async def test_turn_is_stored_as_it_was_told(service: Service, user: Caller, quick: Agent) -> None:
    """Run, attempt, both messages and the session agree with the frames, on either database."""
    frames = await service.converse(quick, user.person, "Grüße 🙂", session_id="talk", request_id="turn")
    done = frames[-1]
    execution_id = done["execution_id"]
    answer = user.get(f"/api/executions/{execution_id}").json()
    [session] = user.get("/api/sessions").json()["items"]
    messages = user.get(f"/api/sessions/{session['id']}/messages").json()["items"]
    again = await service.converse(quick, user.person, "Grüße 🙂", session_id="talk", request_id="turn")

    assert_whole(frames)
    assert (answer["status"], answer["output_text"]) == ("COMPLETED", done["response"])
    assert (answer["first_token_ms"], answer["duration_ms"]) == (done["first_token_ms"], done["duration_ms"])
    assert [one["outcome"] for one in answer["attempts"]] == ["ok"]
    assert [(one["author"], one["content"]) for one in messages] == [
        ("user", "Grüße 🙂"),
        ("assistant", done["response"]),
    ]
    assert again == frames
    assert service.rows(
        "SELECT count(*) AS n FROM agent_executions WHERE user_id = :id", id=user.person.id
    ) == [{"n": 1}]


def test_lists_are_walked_whole(service: Service, user: Caller, quick: Agent) -> None:
    """Runs over three pages of a cursor: each once, newest first, on either database."""
    made = [user.chat(quick).json()["execution_id"] for _ in range(5)]
    found: list[str] = []
    path = f"/api/agents/{quick.id}/executions?limit=2"
    cursor = ""
    for _ in range(3):
        page = user.get(path + cursor).json()
        found += [one["id"] for one in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"

    assert found == made[::-1]
    assert page["next_cursor"] is None


def test_refused_deeds_are_audited(service: Service, user: Caller) -> None:
    """What a user may not do leaves an audit row and nothing else."""
    agents = service.rows("SELECT count(*) AS n FROM agent_registry")
    answer = user.post("/api/agents", {"name": "Mine", "model": "embedded/markov-1"})

    assert answer.status_code == 403
    assert service.audit_of(user.person) == [("agent.create", "denied")]
    assert service.rows("SELECT count(*) AS n FROM agent_registry") == agents


def test_archived_name_can_be_used_again(service: Service) -> None:
    """Names are unique among the agents that are not archived."""
    body = {"name": "Phoenix", "model": "embedded/markov-1"}
    first_id = service.admin.post("/api/agents", body).json()["id"]
    taken = service.admin.post("/api/agents", body)
    gone = service.admin.delete(f"/api/agents/{first_id}")
    again = service.admin.post("/api/agents", body)

    assert (taken.status_code, gone.status_code, again.status_code) == (409, 204, 201)
    assert again.json()["id"] != first_id


def test_open_run_of_a_dead_process_is_interrupted(service: Service, user: Caller, quick: Agent) -> None:
    """A row whose lease has expired belongs to nobody: the next sweep closes it."""
    execution_id = user.chat(quick).json()["execution_id"]
    lost = execution_id[:-4] + "dead"
    columns = "agent_id, user_id, request_hash, transport, on_disconnect, action, action_complexity"
    more = (
        "maturity_at_start, input_data, model, attempts, last_seq, prompt_tokens, completion_tokens,"
        " usage_estimated, queued_at"
    )
    stage.write(
        service,
        f"INSERT INTO agent_executions (id, status, owner_instance, lease_expires_at, {columns}, {more})"
        f" SELECT '{lost}', 'RUNNING', 'ins_gone', queued_at, {columns}, {more}"
        f" FROM agent_executions WHERE id = '{execution_id}'",
    )

    row = ended(service, lost)

    assert_row(row, "INTERRUPTED", "server_shutdown")
    eventually(lambda: user.get(f"/api/executions/{lost}").json()["status"] == "INTERRUPTED", "the row")
    assert user.chat(quick).status_code == 200
