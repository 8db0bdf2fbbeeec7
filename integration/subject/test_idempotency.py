"""One `request_id`, one answer: row L12, and inv_R9 (at most one active generation of it)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import pytest

from integration.subject.clients import (
    AGENTCHAT,
    Agent,
    Caller,
    Frame,
    Service,
    answer_of,
    first,
    hear,
    say,
    text_of,
)

pytestmark = pytest.mark.anyio


async def test_L12_finished_request_is_replayed_over_http(
    service: Service, user: Caller, quick: Agent
) -> None:
    """The stored answer comes again, marked as such; nothing is generated a second time."""
    first_answer = user.chat(quick, request_id="again").json()
    second_answer = user.chat(quick, request_id="again").json()

    assert first_answer.pop("replayed") is False
    assert second_answer.pop("replayed") is True
    assert second_answer == first_answer
    assert len(service.runs_of(user.person)) == 1
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize(
    "change",
    [{"message": "Other"}, {"max_tokens": 3}, {"session_id": "other"}, {"metadata": {"a": 1}}],
    ids=["message", "max_tokens", "session_id", "metadata"],
)
async def test_L12_other_body_is_a_mismatch(
    service: Service, user: Caller, quick: Agent, change: dict[str, object]
) -> None:
    """The same id for something else is a mistake of the client, over HTTP and on a stream."""
    original: dict[str, object] = {"message": "Hello", "request_id": "mine"}
    path = f"/api/agents/{quick.id}/chat"
    assert user.post(path, original).status_code == 200
    response = user.post(path, original | change)
    async with service.connect(quick, user.person) as socket:
        await say(socket, **(original | change))
        error = await hear(socket)

    assert response.status_code == 422
    assert response.json()["code"] == "idempotency_mismatch"
    assert error["error"]["code"] == "idempotency_mismatch"
    assert error["fatal"] is False
    assert len(service.runs_of(user.person)) == 1
    assert user.chat(quick).status_code == 200


async def test_L12_request_id_belongs_to_one_user(service: Service, user: Caller, quick: Agent) -> None:
    """The same id of another user is another request."""
    other = service.caller()
    mine = user.chat(quick, "Mine", request_id="shared").json()
    theirs = other.chat(quick, "Theirs", request_id="shared").json()

    assert mine["execution_id"] != theirs["execution_id"]
    assert theirs["replayed"] is False


async def test_L12_active_request_is_409_over_http(service: Service, user: Caller, slow: Agent) -> None:
    """While the run goes on, HTTP says so and names it."""
    async with service.connect(slow, user.person) as socket:
        await say(socket, message="Hello", action="chat", request_id="busy")
        execution_id = (await first(socket, "started"))["execution_id"]
        response = user.chat(slow, request_id="busy")
        await say(socket, type="cancel", execution_id=execution_id)
        frames = await answer_of(socket)

    assert response.status_code == 409
    assert response.json()["code"] == "request_in_progress"
    assert response.json()["execution_id"] == execution_id
    assert response.json()["retryable"] is True
    assert frames[-1]["type"] == "cancelled"
    assert len(service.runs_of(user.person)) == 1


async def test_L12_active_request_attaches_on_a_stream(service: Service, user: Caller, slow: Agent) -> None:
    """A second connection with the same request takes the run over, and reads it from the beginning."""
    body = {"type": "chat", "message": "Hello", "request_id": "attach", "max_tokens": 20}
    async with (
        service.connect(slow, user.person, subprotocols=AGENTCHAT) as old,
        service.connect(slow, user.person, subprotocols=AGENTCHAT) as new,
    ):
        await first(old, "ready")
        await first(new, "ready")
        await say(old, **body)
        execution_id = (await first(old, "started"))["execution_id"]
        await first(old, "delta")
        await say(new, **body)
        resumed = await hear(new)
        frames = await answer_of(new)

    assert resumed["type"] == "resumed"
    assert (resumed["execution_id"], resumed["from_seq"]) == (execution_id, 1)
    assert [frame["seq"] for frame in frames] == list(range(1, 23))
    assert frames[-1]["response"] == text_of(frames)
    [run] = service.runs_of(user.person)
    assert (run["id"], run["status"]) == (execution_id, "COMPLETED")


async def test_L12_finished_request_is_replayed_on_a_stream(
    service: Service, user: Caller, quick: Agent
) -> None:
    """Frame by frame the same log, whoever asks and however often."""
    body = {"message": "Hello", "request_id": "twice"}
    async with service.connect(quick, user.person) as socket:
        await say(socket, **body)
        once = await answer_of(socket)
        await say(socket, **body)
        twice = await answer_of(socket)

    assert run_frames(twice) == once
    assert len(service.runs_of(user.person)) == 1


def run_frames(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if "seq" in frame]


async def test_L12_retryable_end_frees_the_id(service: Service, user: Caller) -> None:
    """A timed-out run is not replayed: the same request makes a new one."""
    mute = service.agent(first_token_ms=60_000)
    ends = [user.chat(mute, request_id="try").json() for _ in range(2)]

    assert [one["code"] for one in ends] == ["first_token_timeout"] * 2
    assert ends[0]["execution_id"] != ends[1]["execution_id"]
    runs = service.runs_of(user.person)
    assert [run["status"] for run in runs] == ["TIMED_OUT"] * 2
    assert [run["request_id"] for run in runs] == [None, "try"]


async def test_L12_final_failure_keeps_the_id(service: Service, user: Caller) -> None:
    """A failure that no retry would mend is told again, without another run."""
    orphan = service.agent(model="none/x")
    ends = [user.chat(orphan, request_id="never") for _ in range(2)]

    assert [one.status_code for one in ends] == [424, 424]
    assert len({one.json()["execution_id"] for one in ends}) == 1
    assert len(service.runs_of(user.person)) == 1


async def test_L12_of_clients_at_the_same_instant_one_generates(
    service: Service, user: Caller, quick: Agent
) -> None:
    """Eight clients send the same request at once: one run, and no answer that contradicts it."""

    def race() -> list[tuple[int, str]]:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: user.chat(quick, request_id="race"), range(8)))
        return [(one.status_code, one.json()["execution_id"]) for one in answers]

    answers = await anyio.to_thread.run_sync(race)

    [run] = service.runs_of(user.person)
    assert run["status"] == "COMPLETED"
    assert {execution_id for _, execution_id in answers} == {run["id"]}
    assert {status for status, _ in answers} - {409} == {200}  # 409: still in progress when it came


async def test_L12_after_the_replay_time_only_the_end_is_told(narrow: Service) -> None:
    """This server keeps no frames: the terminal frame is rebuilt from the row, the same as it was."""
    agent, user = narrow.agent(), narrow.caller()
    body = {"message": "Hello", "request_id": "later"}
    async with narrow.connect(agent, user.person) as socket:
        await say(socket, **body)
        once = await answer_of(socket)
        await say(socket, **body)
        later = await answer_of(socket)

    assert later == once[-1:]
    assert len(narrow.runs_of(user.person)) == 1


async def test_L12_cancelled_request_is_told_again(narrow: Service) -> None:
    """A cancelled run is not run again by asking for it again."""
    agent, user = narrow.agent(tokens=40, interval_ms=50), narrow.caller()
    body = {"message": "Hello", "request_id": "cancelled"}
    async with narrow.connect(agent, user.person) as socket:
        await say(socket, **body)
        await first(socket, "delta")
        await say(socket, type="cancel", request_id="cancelled")
        once = await answer_of(socket)
        await say(socket, **body)
        later = await answer_of(socket)

    assert once[-1]["type"] == "cancelled"
    assert later == once[-1:]
    assert len(narrow.runs_of(user.person)) == 1


async def test_L12_final_failure_is_told_again_on_a_stream(narrow: Service) -> None:
    """A failure that no retry would mend is rebuilt with its code."""
    agent, user = narrow.agent(model="none/x"), narrow.caller()
    body = {"message": "Hello", "request_id": "failed"}
    async with narrow.connect(agent, user.person) as socket:
        await say(socket, **body)
        once = await answer_of(socket)
        await say(socket, **body)
        later = await answer_of(socket)

    assert [frame["error"]["code"] for frame in (*once[-1:], *later)] == ["no_provider"] * 2
    assert later[0]["seq"] == once[-1]["seq"]
    assert len(narrow.runs_of(user.person)) == 1
