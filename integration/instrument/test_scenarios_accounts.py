"""Accounts of a configuration: where tokens come from, how they travel, when they are renewed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from load.configuration import read_configuration
from load.errors import TargetDown, UsageError
from load.scenarios.accounts import Accounts, Auth, Credential
from load.scenarios.auth import read_auth

URL = "http://127.0.0.1:9"
HOOK = """
CALLS = []

def login(url, user, former):
    CALLS.append((url, dict(user), former))
    return {"token": f"{user.get('name', 'any')}-{len(CALLS)}", "expires_in_s": 0.25}

def refuse(url, user, former):
    raise PermissionError(f"{user['password']} is wrong")

def nothing(url, user, former):
    return None
"""


def auth(folder: Path, text: str) -> Auth:
    file = folder / "streamgauge.toml"
    file.write_text(f"[auth]\n{text}\n")
    (folder / "hooks.py").write_text(HOOK)
    (folder / "users.csv").write_text("name,token,password\nada,t1,p1\nbob,t2,p2\n")
    (folder / "tokens.txt").write_text("a\n\nb\n")
    (folder / "empty.csv").write_text("name,token\n")
    return read_auth(read_configuration(file))


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ("", Credential({"authorization": "Bearer a"})),
        ('header = "X-Key: {token}"', Credential({"x-key": "a"})),
        ('cookie = "sid={token}"', Credential({"cookie": "sid=a"})),
        ('query = "key={token}"', Credential(query="key=a")),
        ('subprotocol = "bearer.{token}"', Credential(subprotocol="bearer.a")),
        (
            'header = "X-Key: {token}"\nsubprotocol = "bearer.{token}"',
            Credential({"x-key": "a"}, subprotocol="bearer.a"),
        ),
    ],
)
def test_a_token_travels_as_it_is_told(tmp_path: Path, ways: str, expected: Credential) -> None:
    """In a header, a cookie, the query, a subprotocol, or several of them."""
    pool = Accounts(auth(tmp_path, f'token_file = "tokens.txt"\n{ways}'), URL)

    assert pool.credential(0) == expected


def test_a_token_in_the_query_is_quoted() -> None:
    """Whatever it is made of."""
    pool = Accounts(Auth({"query": "key={token}"}, tokens=("a/b+c&d",)), URL)

    assert pool.credential(0).query == "key=a%2Fb%2Bc%26d"


def test_tokens_are_shared_out_in_turns(tmp_path: Path) -> None:
    """User n takes account n, again from the first."""
    pool = Accounts(auth(tmp_path, 'token_file = "tokens.txt"'), URL)

    assert [pool.token(number) for number in range(3)] == ["a", "b", "a"]
    assert len(pool) == 2


def test_a_column_of_users_holds_tokens(tmp_path: Path) -> None:
    """`token`, or the one that is named."""
    assert auth(tmp_path, 'users = "users.csv"').tokens == ("t1", "t2")
    assert auth(tmp_path, 'users = "users.csv"\ncolumn = "name"').tokens == ("ada", "bob")


def test_a_variable_holds_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Separated by blanks or commas."""
    monkeypatch.setenv("SHOP_TOKENS", "x, y\nz")

    assert auth(tmp_path, 'token_env = "SHOP_TOKENS"').tokens == ("x", "y", "z")


def test_a_login_is_called_for_each_account_and_renewed(tmp_path: Path) -> None:
    """Once for its lifetime, then again with what it gave before."""
    found = auth(tmp_path, 'login = "hooks.py:login"\nusers = "users.csv"')
    pool = Accounts(found, URL)
    assert found.login is not None
    calls = found.login.__globals__["CALLS"]

    assert [pool.token(0), pool.token(0), pool.token(1)] == ["ada-1", "ada-1", "bob-2"]
    deadline = time.monotonic() + 5
    while pool.token(0) == "ada-1" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pool.token(0) == "ada-3"
    assert calls[0][0] == URL
    assert calls[2][1]["name"] == "ada"
    assert calls[2][2] == {"token": "ada-1", "expires_in_s": 0.25}


def test_users_of_one_account_log_in_once() -> None:
    """However many ask in the same moment."""
    calls: list[int] = []

    def login(url: str, user: object, former: object) -> dict[str, object]:
        calls.append(1)
        time.sleep(0.05)
        return {"token": "t"}

    pool = Accounts(Auth({}, login=login), URL)
    threads = [threading.Thread(target=pool.token, args=(0,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(calls) == 1


def test_a_refused_login_names_the_hook_and_hides_the_password(tmp_path: Path) -> None:
    """What the hook raised, without what it was given."""
    pool = Accounts(auth(tmp_path, 'login = "hooks.py:refuse"\nusers = "users.csv"'), URL)

    with pytest.raises(TargetDown) as caught:
        pool.token(1)

    where = "streamgauge.toml: auth: login = hooks.py:refuse"
    assert str(caught.value) == f"{where} refused account 1: PermissionError: … is wrong"


def test_a_secret_is_not_shown() -> None:
    """Not even to whoever prints the object."""
    assert repr(Auth({}, tokens=("secret",))) == "Auth(…)"
    assert repr(Credential({"authorization": "Bearer secret"})) == "Credential(…)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'tokn = "x"',
            "tokn is unknown; there are column, cookie, header, login, query, subprotocol, token_env,",
        ),
        ("token_env = 3", "token_env must be a text, in quotes"),
        ('cookie = "a={token}"', "no source of tokens; name one of token_env, token_file, users, login"),
        ('token_env = "A"\ntoken_file = "b"', "token_env and token_file; name one of token_env, token_file,"),
        ('header = "X: y"\ntoken_env = "A"', 'header = "X: y" has no {token} in it'),
        ('header = "{token}"\ntoken_env = "A"', "header must read name: value, for example"),
        ('token_env = "STREAMGAUGE_UNSET"', "token_env STREAMGAUGE_UNSET: the variable is empty or not set"),
        ('token_file = "gone"', "token_file {folder}/gone: No such file or directory"),
        ('users = "empty.csv"', "users {folder}/empty.csv: it holds no account below its head line"),
        (
            'users = "users.csv"\ncolumn = "key"',
            "users: no column key; there are name, token, password. Name one",
        ),
        ('login = "hooks.py"', 'login = "hooks.py" must read file.py:function; no such file in {folder}'),
        (
            'login = "gone.py:login"',
            'login = "gone.py:login" must read file.py:function; no such file in {folder}',
        ),
        ('login = "hooks.py:logon"', "{folder}/hooks.py has no function logon"),
        (
            'login = "users.csv:x"',
            'login = "users.csv:x" must read file.py:function; no such file in {folder}',
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong, and what is possible."""
    expected = f"streamgauge.toml: auth: {message}".replace("{folder}", str(tmp_path))

    with pytest.raises(UsageError) as caught:
        auth(tmp_path, text)

    assert str(caught.value)[: len(expected)] == expected


def test_a_login_that_gives_no_token_is_told(tmp_path: Path) -> None:
    """Its return value is part of the contract."""
    pool = Accounts(auth(tmp_path, 'login = "hooks.py:nothing"'), URL)

    with pytest.raises(
        UsageError, match=r"login = hooks.py:nothing must return a mapping with the key token$"
    ):
        pool.token(0)
