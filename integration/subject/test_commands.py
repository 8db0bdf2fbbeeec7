"""`python -m backend`: migrate, user, demo, serve, and the starts that are refused: rows D12, S10."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.storage.schema import migrate
from integration.covered import Measured
from integration.subject.ahead import Ahead, Work
from integration.subject.clients import Service
from load.target.config import bundled

CONFIG = bundled(2, {})


Done = subprocess.CompletedProcess[str]


class Command:
    """Runs commands in the environment of one scratch folder."""

    def __init__(self, measured: Measured, name: str) -> None:
        self.measured = measured
        self.name = name
        self.database.parent.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def database(self) -> Path:
        return self.measured.folder / self.name / "scratch" / "backend.db"

    def __call__(self, *args: str, **env: str) -> Done:
        return self.measured.run(CONFIG, self.name, "backend", *args, timeout_s=60.0, **env)


@dataclass(frozen=True, slots=True)
class Story:
    """What a person does, one command after the other, on a database that did not exist before."""

    database: Path
    migrated: Done
    demo: Done
    demo_again: Done
    user: Done
    user_again: Done


def tell(measured: Measured) -> Story:
    command = Command(measured, "commands")
    return Story(
        command.database,
        command("migrate"),
        command("demo", "--users", "1"),
        command("demo"),
        command("user", "add", "New.Boss@Example.org", "--admin", "--token-ttl", "60"),
        command("user", "add", "new.boss@example.org"),
    )


@dataclass(frozen=True, slots=True)
class Refusals:
    """Starts that cannot be."""

    port: int
    port_in_use: Done
    too_many_users: Done
    no_time: Done
    unknown_revision: Done
    bad_setting: Done
    wrong_schema: Done
    migrated_afterwards: str


def refuse(measured: Measured) -> Refusals:
    command = Command(measured, "refused")
    migrate(command.url)
    assert migrate(command.url, "-1") == "none"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        port_in_use = command("serve", BACKEND_PORT=str(port))
    return Refusals(
        port,
        port_in_use,
        command("demo", "--users", "10001"),
        command("user", "add", "a@example.org", "--token-ttl", "0"),
        command("migrate", "--to", "no-such-revision"),
        command("serve", BACKEND_PORT="seventy"),
        command("serve"),
        migrate(command.url),
    )


STORY, REFUSALS = Work(tell), Work(refuse)
AHEAD = (STORY, REFUSALS)


@pytest.fixture(scope="module")
def story(ahead: Ahead) -> Story:
    return ahead.result(STORY)


@pytest.fixture(scope="module")
def refusals(ahead: Ahead) -> Refusals:
    return ahead.result(REFUSALS)


def refused(done: Done) -> str:
    """The one line of a refused start: status 78, nothing else said, no traceback."""
    assert done.returncode == 78
    assert done.stdout == ""
    [line] = done.stderr.strip().splitlines()
    return line


def test_migrate_tells_the_revision(story: Story) -> None:
    """A database that did not exist is made."""
    assert (story.migrated.returncode, story.migrated.stdout) == (0, "schema revision 0001\n")


def test_demo_for_people_is_a_table(story: Story) -> None:
    """Without `--json` each thing made is one line."""
    lines = story.demo.stdout.splitlines()

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


def test_demo_needs_an_empty_database(story: Story) -> None:
    """A second demo would mix with what is there."""
    assert refused(story.demo_again) == "demo: the database is not empty"


def test_user_add_makes_a_user_once(story: Story) -> None:
    """The token is printed, once; the address is kept in small letters and taken from then on."""
    assert re.fullmatch(r"sg_[A-Za-z0-9_-]{43}\n", story.user.stdout)
    with sqlite3.connect(story.database) as database:
        stored = database.execute(
            "SELECT email, is_admin, expires_at IS NOT NULL FROM users JOIN api_tokens ON users.id = user_id"
            " WHERE email LIKE '%boss%'"
        ).fetchall()
    database.close()
    assert stored == [("new.boss@example.org", 1, 1)]
    assert refused(story.user_again) == "user: new.boss@example.org exists"


def test_D12_wrong_schema_revision_is_78(refusals: Refusals) -> None:
    """A database of another revision ends the start; migrating forward makes it good again."""
    line = refused(refusals.wrong_schema)

    assert line == "database: schema revision is none, not 0001; run: python -m backend migrate"
    assert refusals.migrated_afterwards == "0001"


def test_S10_port_in_use_is_78(refusals: Refusals) -> None:
    """A taken port ends the start before anything else begins: the wrong schema is not even seen."""
    line = refused(refusals.port_in_use)

    assert str(refusals.port) in line


def test_bad_setting_is_78_and_named(refusals: Refusals) -> None:
    """The line names the variable and never its value."""
    line = refused(refusals.bad_setting)

    assert "BACKEND_PORT" in line
    assert "seventy" not in line


def test_the_first_line_of_a_server_tells_where_it_listens(session_service: Service) -> None:
    """Port 0 became a free one, and the first line on standard output says which."""
    first_line = session_service.target.log.read_text().splitlines()[0]

    assert json.loads(first_line) == {"listening": session_service.target.url}


def test_numbers_out_of_range_are_refused(refusals: Refusals) -> None:
    """By the command line, with what is possible."""
    for done, line in (
        (refusals.too_many_users, "argument --users: must be in 0..10000"),
        (refusals.no_time, "argument --token-ttl: must be at least 1"),
    ):
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].endswith(line)


def test_migration_to_an_unknown_revision(refusals: Refusals) -> None:
    assert refused(refusals.unknown_revision).startswith("migrate: ")
