"""`python -m backend`: migrate, user, demo, serve, and the starts that are refused: rows D12, S10."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import subprocess
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


@pytest.fixture(scope="module")
def filled(measured: Measured, migrated: Path) -> Command:
    """Commands on a migrated database with the demo in it."""
    command = Command(measured, "commands")
    shutil.copy(migrated, command.prepared())
    assert command("demo", "--users", "2", "--json").returncode == 0
    return command


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refused start: status 78, nothing else said, no traceback."""
    assert done.returncode == 78
    assert done.stdout == ""
    [line] = done.stderr.strip().splitlines()
    return line


def test_migrate_demo_and_user_add(command: Command) -> None:
    """A fresh database gets the schema, the demo its people and agents, and a user a token, once."""
    migrated = command("migrate")
    demo = command("demo", "--users", "3", "--json")
    added = command("user", "add", "New.Person@Example.org", "--token-ttl", "60")
    again = command("user", "add", "new.person@example.org")

    assert migrated.returncode == 0
    made = json.loads(demo.stdout)
    assert set(made) == {"admin", "users", "agents"}
    assert set(made["admin"]) == {"id", "email", "token"}
    assert len(made["users"]) == 3
    assert [one["maturity_level"] for one in made["agents"]] == [
        "STUDENT", "INTERN", "SUPERVISED", "AUTONOMOUS",
    ]  # fmt: skip
    assert {one["model"] for one in made["agents"]} == {"embedded/markov-1"}
    assert re.fullmatch(r"sg_[A-Za-z0-9_-]{43}\n", added.stdout)
    with sqlite3.connect(command.database) as database:
        [(email, is_admin)] = database.execute(
            "SELECT email, is_admin FROM users WHERE email LIKE 'new%'"
        ).fetchall()
        [(expires_at,)] = database.execute(
            "SELECT expires_at FROM api_tokens JOIN users ON users.id = user_id WHERE email LIKE 'new%'"
        ).fetchall()
    database.close()
    assert (email, is_admin) == ("new.person@example.org", 0)
    assert expires_at is not None
    assert "exists" in refused(again)


def test_demo_needs_an_empty_database(filled: Command) -> None:
    """A second demo would mix with what is there."""
    assert refused(filled("demo")) == "demo: the database is not empty"


def test_demo_for_people_is_a_table(command: Command, migrated: Path) -> None:
    """Without `--json` each thing made is one line."""
    shutil.copy(migrated, command.prepared())
    lines = command("demo", "--users", "1").stdout.splitlines()

    assert len(lines) == 6
    assert [line.split()[0] for line in lines] == ["admin", "user"] + ["agent"] * 4


def test_admin_from_the_command_line(filled: Command) -> None:
    """`--admin` makes an administrator."""
    assert filled("user", "add", "boss@example.org", "--admin").returncode == 0

    with sqlite3.connect(filled.database) as database:
        [(is_admin,)] = database.execute("SELECT is_admin FROM users WHERE email = 'boss@example.org'")
    database.close()
    assert is_admin == 1


def test_wrong_usage_is_2(filled: Command) -> None:
    """A command line that makes no sense is a usage error."""
    assert filled("demo", "--users", "-1").returncode == 2


def test_D12_database_without_schema_is_78(command: Command) -> None:
    """The server never migrates; it says what to do."""
    line = refused(command("serve"))

    assert line == "database: schema revision is none, not 0001; run: python -m backend migrate"


def test_D12_wrong_schema_revision_is_78(command: Command, migrated: Path) -> None:
    """A database of another revision ends the start; migrating forward makes it good again."""
    shutil.copy(migrated, command.prepared())
    assert migrate(command.url, "-1") == "none"

    line = refused(command("serve"))

    assert line == "database: schema revision is none, not 0001; run: python -m backend migrate"
    assert migrate(command.url) == "0001"


def test_S10_port_in_use_is_78(filled: Command) -> None:
    """A taken port ends the start before anything else begins."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(filled("serve", BACKEND_PORT=str(port)))

    assert str(port) in line


def test_bad_setting_is_78_and_named(filled: Command) -> None:
    """The line names the variable and never its value."""
    line = refused(filled("serve", BACKEND_PORT="seventy"))

    assert "BACKEND_PORT" in line
    assert "seventy" not in line


def test_the_first_line_of_a_server_tells_where_it_listens(session_service: Service) -> None:
    """Port 0 became a free one, and the first line on standard output says which."""
    first_line = session_service.target.log.read_text().splitlines()[0]

    assert json.loads(first_line) == {"listening": session_service.target.url}
