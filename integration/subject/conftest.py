"""One real server a session, a person of its own for each test, and databases to look into."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from backend.storage.schema import migrate
from integration.covered import Measured
from integration.rows import is_whole
from integration.subject.ahead import Ahead, Server, Work
from integration.subject.clients import Agent, Caller, Service
from integration.upstream import Upstream, scripted

SETTINGS: Mapping[str, str] = {
    # Real clocks, short enough to be waited for and long enough to be told apart on a busy machine.
    "BACKEND_FIRST_TOKEN_TIMEOUT": "1",
    "BACKEND_INTER_CHUNK_TIMEOUT": "0.8",
    "BACKEND_TOTAL_DEADLINE": "3",
    "BACKEND_ALLOWED_ORIGINS": "https://app.example",
}
SUBJECT = Server("subject", SETTINGS, provided=True)
IMPATIENT = Server(
    "impatient",
    {
        **SETTINGS,
        "BACKEND_HTTP_HEADER_TIMEOUT": "1",
        "BACKEND_HTTP_BODY_TIMEOUT": "1",
        "BACKEND_WS_FIRST_FRAME_TIMEOUT": "1",
        "BACKEND_WS_IDLE_TIMEOUT": "1.5",
        "BACKEND_WS_PING_INTERVAL": "0.6",
        "BACKEND_WS_PING_TIMEOUT": "0.6",
        "BACKEND_HEARTBEAT_INTERVAL": "0.5",
        "BACKEND_CLOSE_GRACE": "0.5",
        "BACKEND_RECHECK_INTERVAL": "0.5",
    },
    provided=True,
)
NARROW = Server(
    "narrow",
    {
        **SETTINGS,
        "BACKEND_MAX_RUNS": "1",
        "BACKEND_RUN_QUEUE_TIMEOUT": "1",
        "BACKEND_MAX_CONNECTIONS": "3",
        "BACKEND_REPLAY_TTL": "0",
    },
    provided=True,
)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The provider of all servers that ask one."""
    with scripted(tmp_path_factory.mktemp("upstream")) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that need nothing of their own come first: meanwhile what the others need is begun."""
    here = Path(__file__).parent
    items.sort(key=lambda item: here in item.path.parents and bool(needs(item)))


def needs(item: pytest.Item) -> Sequence[Server | Work[Any]]:
    """What its module lists in `AHEAD`."""
    module = item.getparent(pytest.Module)
    listed: Sequence[Server | Work[Any]] = getattr(module.obj, "AHEAD", ()) if module is not None else ()
    return listed


@pytest.fixture(scope="session")
def ahead(measured: Measured, upstream: Upstream, request: pytest.FixtureRequest) -> Iterator[Ahead]:
    """What the modules list, begun early when all of them are run: first what nobody has to keep."""
    listed = dict.fromkeys(chain.from_iterable(needs(item) for item in request.session.items))
    order = [SUBJECT, IMPATIENT, NARROW, *sorted(listed, key=lambda one: isinstance(one, Server))]
    ahead = Ahead(measured, upstream.settings, order if is_whole(request.config) else [])
    yield ahead
    ahead.close()


@pytest.fixture(scope="session")
def session_service(ahead: Ahead) -> Service:
    return ahead.take(SUBJECT)


@pytest.fixture
def service(session_service: Service) -> Service:
    """The server of the session."""
    return session_service


@pytest.fixture
def user(service: Service) -> Caller:
    """A user whom no other test has used."""
    return service.caller()


@pytest.fixture
def admin(service: Service) -> Caller:
    return service.admin


@pytest.fixture(scope="session")
def quick(session_service: Service) -> Agent:
    """An agent that may do everything and answers four words at once."""
    return session_service.agent("AUTONOMOUS")


@pytest.fixture(scope="session")
def slow(session_service: Service) -> Agent:
    """An agent whose answer takes 2 s: slow enough to be interrupted, within every deadline."""
    return session_service.agent("AUTONOMOUS", tokens=40, interval_ms=50)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "backend.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """A database of the test's own."""
    return Path(shutil.copy(migrated, tmp_path / "backend.db"))


@pytest.fixture
def db(database: Path) -> Iterator[Session]:
    """A session on a database of the test's own, with foreign keys checked as the service checks them."""
    engine = create_engine(f"sqlite:///{database}")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    with Session(engine, expire_on_commit=False) as session:
        yield session
    engine.dispose()


@pytest.fixture(scope="session")
def impatient(ahead: Ahead) -> Service:
    """A server that waits for nobody: clocks of handshakes, bodies, frames, pings and tokens are short."""
    return ahead.take(IMPATIENT)


@pytest.fixture(scope="session")
def narrow(ahead: Ahead) -> Service:
    """A server with room for one run and three connections, which keeps no frames of a run that has ended."""
    return ahead.take(NARROW)
