"""Proposes a configuration for an app: looks at what it offers, starts it, tries one stream, and says what it
could not guess.

    python -m load.init shop.api:app --app-dir ../shop --env 'OPENAI_BASE_URL={upstream}/v1' --model gpt-x
    make init APP=shop.api:app ARGS='--app-dir ../shop'

Writes streamgauge.toml, or the file of --out; never over one that is there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from load.configuration import Configuration, Table
from load.drivers.dialects.framing import FRAMINGS
from load.drivers.dialects.guess import guess
from load.drivers.dialects.reading import dialect, preset, preset_names
from load.drivers.trial import Trial, ask, speaks
from load.errors import ExitCode, LoadError, TargetDown, UsageError
from load.report import toml
from load.report.console import say
from load.report.store import write_atomically
from load.scenarios.accounts import Accounts, Credential
from load.scenarios.auth import read_auth
from load.target.config import configured_target
from load.target.launch import launch
from load.target.offers import Offer, offers
from load.target.provider import Provider

KINDS: Final = {
    "text/event-stream": "sse",
    "application/x-ndjson": "json_lines",
    "application/jsonl": "json_lines",
}
ROUTES: Final = Path(__file__).parent / "target" / "routes.py"
IMPORT_TIMEOUT_S: Final = 60.0
BY_HAND: Final = "describe it by hand (docs/own.md)"
AGAIN: Final = "--login or --token-env, then a stream can be tried"


@dataclass(slots=True)
class Proposal:
    """table: the configuration so far. edits: what a person must fill in. notes: what was seen."""

    table: dict[str, Any]
    edits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    """Exit 0 with a file; 2 where nothing streams, or the app cannot be asked."""
    parsed = _parser().parse_args(arguments)
    try:
        out = Path(parsed.out)
        if out.exists():
            raise UsageError(f"--out {out}: it is there already; name another file")
        proposal = propose(parsed)
        write_atomically(out, toml.document(proposal.table))
    except LoadError as error:
        say(f"{error.exit_code.name}: {error}")
        return int(error.exit_code)
    for note in proposal.notes:
        say(f"  {note}")
    for number, edit in enumerate(proposal.edits, 1):
        say(f"edit {number}: {edit}")
    say(f"written: {out}; try it: locust -f locustfile.py --headless --config {out} -u 5 -t 10s")
    return int(ExitCode.PASS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m load.init", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("app", help="module:attribute, as uvicorn takes it")
    add("--app-dir", default=".", help="where it is imported")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of it; repeatable")
    add("--setup", action="append", default=[], metavar="COMMAND", help="before each start; repeatable")
    add("--ready", default="", metavar="PATH", help="answers 200 once it can be measured")
    add("--login", default="", metavar="FILE.py:FUNCTION", help="gives a token; see docs/own.md")
    add("--users", default="", metavar="FILE.csv", help="accounts, for --login")
    add("--token-env", default="", metavar="NAME", help="the variable that holds a token")
    add("--path", default="", help="the path that chats, where several could")
    add("--model", default="", help="what requests name as their model")
    add("--out", default="streamgauge.toml", metavar="FILE", help="the file to write")
    return parser


def propose(parsed: argparse.Namespace) -> Proposal:
    """Asks the app. Raises UsageError where nothing of it streams, TargetDown where it fails."""
    app_dir = Path(parsed.app_dir).resolve()
    folder = Path(parsed.out).resolve().parent
    auth = {"login": parsed.login, "users": parsed.users, "token_env": parsed.token_env}
    table: dict[str, Any] = {
        "app": parsed.app,
        "app_dir": str(app_dir),
        "setup": parsed.setup or None,
        "ready": parsed.ready or None,
        "env": dict(one.split("=", 1) for one in parsed.env if "=" in one) or None,
        "auth": {name: value for name, value in auth.items() if value} or None,
    }
    proposal = Proposal({name: value for name, value in table.items() if value is not None})
    out = Path(parsed.out).name
    configuration = Configuration(folder / out, Table(proposal.table, out))
    with tempfile.TemporaryDirectory(prefix="streamgauge-init-") as scratch:
        provider = target = None
        config = configured_target(configuration)
        try:
            places = {"users": "1"}
            if config.asks_upstream:
                provider = Provider(Path(scratch))
                places |= {"upstream": provider.url, "closed": provider.closed_url}
            target = launch(config, Path(scratch), "init", places)
            found = _routes(parsed.app, app_dir, {**target.env})
            _note_websockets(found, proposal)
            chats = [one for one in offers(found["openapi"] or {}) if parsed.path in ("", one.path)]
            if not chats:
                raise UsageError(f"{parsed.app}: no POST path of its OpenAPI takes a message; {BY_HAND}")
            credential = Accounts(read_auth(configuration), target.url).credential(0)
            _try(chats, target.url, credential, parsed.model, proposal)
        finally:
            for child in (target, provider):
                if child is not None:
                    child.stop()
    return proposal


def _routes(app: str, app_dir: Path, env: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(ROUTES), app, str(app_dir)],
        cwd=app_dir,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=IMPORT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise TargetDown((done.stderr.splitlines() or ["(nothing)"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _note_websockets(found: Mapping[str, Any], proposal: Proposal) -> None:
    for path in found["websockets"]:
        proposal.notes.append(f"WebSocket {path}: what it expects cannot be read; {BY_HAND}")


def _try(chats: list[Offer], url: str, credential: Credential, model: str, proposal: Proposal) -> None:
    """One message to each likely path until one answers in pieces."""
    for offer in chats:
        trial = Trial(url, offer.path, offer.body, credential.headers, credential.query, model)
        status, kind, answer = ask(trial)
        framing = "text" if kind == "text/plain" else KINDS.get(kind)
        if status in (401, 403):
            proposal.edits.append(f"POST {offer.path} answers {status}: say in [auth] who asks ({AGAIN})")
            _add(proposal, offer, model, "openai-chat")
            return
        if not 200 <= status < 300:
            proposal.notes.append(f"POST {offer.path} answers {status} to {json.dumps(offer.body)}")
        elif framing is None:
            what = f"answers in one piece ({kind or 'no content type'})"
            proposal.notes.append(f"POST {offer.path} {what}: it does not stream")
        else:
            proposal.notes.append(f"POST {offer.path} streams ({framing})")
            _add(proposal, offer, model, _dialect(trial, framing, answer, proposal))
            return
    raise UsageError("; ".join(proposal.notes) or "nothing streams")


def _dialect(trial: Trial, framing: str, answer: bytes, proposal: Proposal) -> str:
    """The name of a shipped dialect if one fits to the last mark, else of one made from the answer."""
    for name in preset_names():
        spoken = preset(name)
        if spoken.wire == "http" and spoken.framing == framing and speaks(trial, spoken):
            proposal.notes.append(f"it speaks {name}")
            return name
    messages = [one for one in FRAMINGS[framing]().feed(answer) if one is not None]
    made = guess(messages)
    if made is None:
        raise UsageError(f"POST {trial.path}: no text in pieces was found in its {len(messages)} messages")
    own: dict[str, Any] = {"wire": "http", "framing": framing}
    if made.seq is not None:
        own |= {"seq": made.seq, "first_seq": made.first_seq}
    own |= {"request": {"path": trial.path, "body": dict(trial.body)}, "event": made.events}
    proposal.table["dialect"] = {"own": own}
    proposal.notes += made.doubts
    if not speaks(trial, dialect(own, "dialect.own")):
        proposal.edits.append("[dialect.own]: a second stream did not end as DONE; look at its events")
    return "own"


def _add(proposal: Proposal, offer: Offer, model: str, protocol: str) -> None:
    scenario: dict[str, Any] = {"name": "chat", "protocol": protocol, "path": offer.path}
    if "{model}" in json.dumps(offer.body):
        scenario["model"] = model or "CHANGE-ME"
        if not model:
            proposal.edits.append('scenario chat: model = "CHANGE-ME" is what requests name as their model')
    if protocol != "own":
        scenario["body"] = dict(offer.body)
    proposal.edits += offer.doubts
    proposal.table["scenario"] = [scenario]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
