"""The table [auth] of a configuration: where tokens come from, and how they are sent.

    [auth]
    header = "Authorization: Bearer {token}"   # also, or instead: cookie, query, subprotocol
    token_env = "SHOP_TOKENS"                  # or token_file, users + column, or login

With `login = "hooks.py:login"` a function of the user's own is called for each account, and again before its
token expires:

    def login(url, user, former):
        # user: a row of `users`, {} without; former: what the last call gave, None at the first
        return {"token": "...", "expires_in_s": 900}
"""

from __future__ import annotations

import csv
import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from load.configuration import Configuration, Table
from load.errors import UsageError
from load.scenarios.accounts import Auth, Login

WAYS: Final = ("header", "cookie", "query", "subprotocol")
SOURCES: Final = ("token_env", "token_file", "users", "login")
KEYS: Final = frozenset({*WAYS, *SOURCES, "column"})
BEARER: Final = "Authorization: Bearer {token}"


def read_auth(configuration: Configuration) -> Auth:
    """The table [auth] of a file; without it nobody is asked for anything.

    Raises UsageError in one line: the file, the key, what is possible.
    """
    given = Table(configuration.table.table("auth", {}), f"{configuration.where}: auth")
    given.known(KEYS)
    where, table = given.where, {key: given.text(key) for key in given.values}
    ways: dict[str, str] = {way: table[way] for way in WAYS if way in table}
    sources = [
        source for source in SOURCES if source in table and not (source == "users" and "login" in table)
    ]
    if not table:
        return Auth({})
    if len(sources) != 1:
        found = " and ".join(sources) or "no source of tokens"
        raise UsageError(f"{where}: {found}; name one of {', '.join(SOURCES)}")
    for way, text in ways.items():
        if "{token}" not in text:
            raise UsageError(f'{where}: {way} = "{text}" has no {{token}} in it')
    ways = ways or {"header": BEARER}
    if "header" in ways and ":" not in ways["header"]:
        raise UsageError(f'{where}: header must read name: value, for example "{BEARER}"')
    rows = _rows(configuration.folder / table["users"], where) if "users" in table else ()
    if "login" in table:
        hook = table["login"]
        return Auth(
            ways, rows=rows, login=_hook(configuration.folder, hook, where), hook=f"{where}: login = {hook}"
        )
    if "users" in table:
        return Auth(ways, tokens=_column(rows, table.get("column", "token"), f"{where}: users"))
    if "token_env" in table:
        return Auth(ways, tokens=tokens_of_environment(table["token_env"], f"{where}: token_env"))
    return Auth(ways, tokens=_listed(configuration.folder / table["token_file"], f"{where}: token_file"))


def tokens_of_environment(name: str, where: str) -> tuple[str, ...]:
    """Bearer tokens in a variable, separated by blanks or commas."""
    tokens = tuple(filter(None, re.split(r"[\s,]+", os.environ.get(name, ""))))
    if not tokens:
        raise UsageError(f"{where} {name}: the variable is empty or not set")
    return tokens


def _listed(file: Path, where: str) -> tuple[str, ...]:
    tokens = tuple(line.strip() for line in _read(file, where).splitlines() if line.strip())
    if not tokens:
        raise UsageError(f"{where} {file}: it holds no token, one a line")
    return tokens


def _rows(file: Path, where: str) -> tuple[Mapping[str, str], ...]:
    rows = tuple(csv.DictReader(_read(file, f"{where}: users").splitlines()))
    if not rows:
        raise UsageError(f"{where}: users {file}: it holds no account below its head line")
    return rows


def _column(rows: Sequence[Mapping[str, str]], name: str, where: str) -> tuple[str, ...]:
    if name not in rows[0]:
        raise UsageError(f"{where}: no column {name}; there are {', '.join(rows[0])}. Name one with column")
    return tuple(row[name] for row in rows)


def _read(file: Path, where: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{where} {file}: {error.strerror}") from error


def _hook(folder: Path, name: str, where: str) -> Login:
    path, _, function = name.partition(":")
    file = folder / path
    if not function or file.suffix != ".py" or not file.is_file():
        raise UsageError(f'{where}: login = "{name}" must read file.py:function; no such file in {folder}')
    spec = importlib.util.spec_from_file_location(f"streamgauge_login_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{where}: {file} cannot be loaded: {type(error).__name__}: {error}") from error
    found = getattr(module, function, None)
    if not callable(found):
        raise UsageError(f"{where}: {file} has no function {function}")
    login: Login = found
    return login
