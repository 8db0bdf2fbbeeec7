"""The command `python -m backend`: serve (default), migrate, user, demo."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

import anyio
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from backend import telemetry
from backend.app import create_app
from backend.domain.governance import Maturity
from backend.server import make_server
from backend.settings import Settings, StartupRefused, load_settings
from backend.storage import schema
from backend.storage.agents import AgentDraft, add_agent
from backend.storage.session import Database, StorageUnavailable
from backend.storage.users import add_user, issue_token, users_exist

T = TypeVar("T")
Made: TypeAlias = dict[str, dict[str, str] | list[dict[str, str]]]

DEMO_MODEL: Final = "embedded/markov-1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve until a signal comes (default)")
    migrate = commands.add_parser("migrate", help="bring the schema of the database up to date")
    migrate.add_argument("--to", default="head", metavar="REVISION", help="also downwards: --to=-1")
    user = commands.add_parser("user", help="users and their tokens").add_subparsers(
        dest="what", required=True
    )
    add = user.add_parser("add", help="add a user and print a token once")
    add.add_argument("email")
    add.add_argument("--admin", action="store_true")
    add.add_argument(
        "--token-ttl", type=_seconds, metavar="S", help="seconds the token is valid (default: for ever)"
    )
    demo = commands.add_parser("demo", help="fill an empty database with an administrator, users and agents")
    demo.add_argument("--users", type=_count, default=3, metavar="N")
    demo.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    telemetry.set_up_logging()
    try:
        return _run(arguments, load_settings())
    except StartupRefused as refused:
        print(refused, file=sys.stderr)  # noqa: T201
        return StartupRefused.exit_status


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    if arguments.command == "migrate":
        revision = schema.migrate(settings.database_url, arguments.to)
        print(f"schema revision {revision}")  # noqa: T201
    elif arguments.command == "user":
        print(_add_user(settings, arguments.email, arguments.admin, arguments.token_ttl))  # noqa: T201
    elif arguments.command == "demo":
        made = _in_one_transaction(settings, lambda connection: _demo(connection, arguments.users))
        print(json.dumps(made) if arguments.json else _table(made))  # noqa: T201
    else:
        make_server(create_app(settings), settings).run()
    return 0


def _in_one_transaction(settings: Settings, work: Callable[[Connection], T]) -> T:
    schema.check(settings.database_url)

    async def run() -> T:
        database = Database(settings)
        try:
            return await database.write(work)
        except StorageUnavailable as error:
            raise StartupRefused(f"database: {error.kind}") from error
        finally:
            await database.close()

    return anyio.run(run)


def _add_user(settings: Settings, email: str, admin: bool, token_ttl_s: int | None) -> str:
    def add(connection: Connection) -> str:
        user_id = add_user(connection, email, is_admin=admin)
        _, secret = issue_token(connection, user_id, "command line", token_ttl_s)
        return secret

    try:
        return _in_one_transaction(settings, add)
    except IntegrityError:
        raise StartupRefused(f"user: {email} exists") from None


def _demo(connection: Connection, users: int) -> Made:
    if users_exist(connection):
        raise StartupRefused("demo: the database is not empty")
    admin = _demo_user(connection, "admin@example.org", is_admin=True)
    people = [_demo_user(connection, f"user{n}@example.org") for n in range(1, users + 1)]
    agents = []
    for level in Maturity:
        draft = AgentDraft(
            name=f"{level.capitalize()} agent",
            description=f"A demonstration agent of level {level}",
            category="demo",
            maturity_level=level,
            system_prompt="You are a helpful assistant.",
            model=DEMO_MODEL,
            configuration={},
        )
        agent = add_agent(connection, admin["id"], draft)
        agents.append(
            {"id": agent.id, "name": agent.name, "maturity_level": agent.maturity_level, "model": agent.model}
        )
    return {"admin": admin, "users": people, "agents": agents}


def _demo_user(connection: Connection, email: str, *, is_admin: bool = False) -> dict[str, str]:
    user_id = add_user(connection, email, is_admin=is_admin)
    _, secret = issue_token(connection, user_id, "demo", None)
    return {"id": user_id, "email": email, "token": secret}


def _table(made: Made) -> str:
    """What was made, for a person: one line each."""
    return "\n".join(
        "  ".join([kind.rstrip("s"), *one.values()])
        for kind, value in made.items()
        for one in (value if isinstance(value, list) else [value])
    )


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError("must be in 0..10000")
    return value


def _seconds(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
