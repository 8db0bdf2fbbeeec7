"""`python -m backend`: migrate, user, demo, serve, and the starts that are refused: rows D12, S10."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.storage.schema import migrate
from integration.covered import Measured
from integration.subject.clients import Service
from load.target.config import bundled

CONFIG = bundled(2, {})


class Command:
    """Runs commands in the environment of one scratch folder."""

    def __init__(self, measured: Measured, name: str) -> None:
        self.measured = measured
        self.name = name

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.database}"

    @property
    def database(self) -> Path:
        return self.measured.folder / self.name / "scratch" / "backend.db"

    def __call__(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.measured.run(CONFIG, self.name, "backend", *args, timeout_s=60.0, **env)

    def prepared(self) -> Path:
        """Where its database belongs, to be put there before the first command."""
        self.database.parent.mkdir(parents=True)
        return self.database


@pytest.fixture
def command(measured: Measured, request: pytest.FixtureRequest) -> Command:
    """Commands with a database that does not exist yet."""
    return Command(measured, re.sub(r"\W+", "_", request.node.name))


@dataclass(frozen=True, slots=True)
class Filled:
    """A database with the demo in it, and what the demo told a person."""

    command: Command
    told: str


@pytest.fixture(scope="module")
def filled(measured: Measured) -> Filled:
    """`migrate` and `demo` on a database that did not exist."""
    command = Command(measured, "commands")
    migrated = command("migrate")
    assert (migrated.returncode, migrated.stdout) == (0, "schema revision 0001\n")
    return Filled(command, command("demo", "--users", "1").stdout)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refused start: status 78, nothing else said, no traceback."""
    assert done.returncode == 78
    assert done.stdout == ""
    [line] = done.stderr.strip().splitlines()
    return line


def test_demo_for_people_is_a_table(filled: Filled) -> None:
    """Without `--json` each thing made is one line."""
    lines = filled.told.splitlines()

    assert len(lines) == 6
    assert [line.split()[0] for line in lines] == ["admin", "user"] + ["agent"] * 4


def test_demo_for_programs_is_one_object(session_service: Service) -> None:
    """With `--json` all of it is one object with tokens and ids."""
    made = json.loads(session_service.target.setup_output[1])

    assert set(made) == {"admin", "users", "agents"}
    assert set(made["admin"]) == {"id", "email", "token"}
    assert [one["maturity_level"] for one in made["agents"]] == [
        "STUDENT", "INTERN", "SUPERVISED", "AUTONOMOUS",
    ]  # fmt: skip
    assert {one["model"] for one in made["agents"]} == {"embedded/markov-1"}


def test_demo_needs_an_empty_database(filled: Filled) -> None:
    """A second demo would mix with what is there."""
    assert refused(filled.command("demo")) == "demo: the database is not empty"


def test_user_add_makes_a_user_once(filled: Filled) -> None:
    """The token is printed, once; the address is kept in small letters and taken from then on."""
    added = filled.command("user", "add", "New.Boss@Example.org", "--admin", "--token-ttl", "60")
    again = filled.command("user", "add", "new.boss@example.org")

    assert re.fullmatch(r"sg_[A-Za-z0-9_-]{43}\n", added.stdout)
    with sqlite3.connect(filled.command.database) as database:
        stored = database.execute(
            "SELECT email, is_admin, expires_at IS NOT NULL FROM users JOIN api_tokens ON users.id = user_id"
            " WHERE email LIKE '%boss%'"
        ).fetchall()
    database.close()
    assert stored == [("new.boss@example.org", 1, 1)]
    assert refused(again) == "user: new.boss@example.org exists"


def test_D12_wrong_schema_revision_is_78(command: Command, migrated: Path) -> None:
    """A database of another revision ends the start; migrating forward makes it good again."""
    shutil.copy(migrated, command.prepared())
    assert migrate(command.url, "-1") == "none"

    line = refused(command("serve"))

    assert line == "database: schema revision is none, not 0001; run: python -m backend migrate"
    assert migrate(command.url) == "0001"


def test_S10_port_in_use_is_78(filled: Filled) -> None:
    """A taken port ends the start before anything else begins."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(filled.command("serve", BACKEND_PORT=str(port)))

    assert str(port) in line


def test_bad_setting_is_78_and_named(filled: Filled) -> None:
    """The line names the variable and never its value."""
    line = refused(filled.command("serve", BACKEND_PORT="seventy"))

    assert "BACKEND_PORT" in line
    assert "seventy" not in line


def test_the_first_line_of_a_server_tells_where_it_listens(session_service: Service) -> None:
    """Port 0 became a free one, and the first line on standard output says which."""
    first_line = session_service.target.log.read_text().splitlines()[0]

    assert json.loads(first_line) == {"listening": session_service.target.url}
