"""Options: what the command line and the web form may say, and the one line for what they may not."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from load.errors import UsageError
from load.options import Defaults, Options, add_options, read_options

DEFAULTS = Defaults(
    users=50, spawn_rate=25, run_time="30s", think_s=0.5, host_think_s=2.0, mix="chat_ws=70,chat_http=30"
)


def parse(*args: str, host: str | None = None) -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("-u", "--users", dest="num_users", type=int)
    parser.add_argument("-r", "--spawn-rate", type=float)
    parser.add_argument("-t", "--run-time", default="")
    add_options(parser, DEFAULTS)
    parsed = parser.parse_args(args)
    parsed.run_time = float(str(parsed.run_time).rstrip("s")) if parsed.run_time else None  # as Locust does
    return read_options(parsed, host, DEFAULTS)


def test_nothing_said_gives_the_profile() -> None:
    """Without a word the profile's own figures hold."""
    options = parse("--seed", "7")

    assert options == Options(
        users=50,
        spawn_rate=25.0,
        run_time_s=30.0,
        host=None,
        token_env=None,
        config=None,
        app=None,
        app_dir=Path(),
        cov_source=(),
        protocol=None,
        model="",
        scenario_files=(),
        coverage="auto",
        objectives=(),
        undecided="fail",
        scenarios=(),
        mix={"chat_ws": 70, "chat_http": 30},
        failures="all",
        prompts=None,
        seed=7,
        arrivals="poisson",
        think_s=0.5,
        reports=Path("reports"),
        trace_headers=True,
    )


def test_a_seed_is_drawn_when_none_is_given() -> None:
    """Two runs without --seed differ, and each can be repeated from its report."""
    assert parse().seed != parse().seed


def test_a_running_server_gets_harmless_failures_alone() -> None:
    """--host changes the default of --failures; saying all overrides it."""
    assert parse(host="http://127.0.0.1:8000").failures == "harmless"
    assert parse("--failures", "all", host="http://127.0.0.1:8000").failures == "all"


def test_a_running_server_is_asked_less_often() -> None:
    """Its limits are not ours; a figure of the user's own holds everywhere."""
    assert parse(host="http://127.0.0.1:8000").think_s == 2.0
    assert parse("--think-s", "0.1", host="http://127.0.0.1:8000").think_s == 0.1


def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    """A file that is there; certificates are verified unless told otherwise."""
    file = tmp_path / "ca.pem"
    file.touch()
    options = parse("--tls-ca", str(file))

    assert (options.tls_ca, options.insecure, parse("--insecure").insecure) == (file, False, True)


def test_scenarios_add_up() -> None:
    """--scenario may be repeated or hold a list; a name counts once."""
    assert parse("--scenario", "a", "--scenario", "b, a").scenarios == ("a", "b")


@pytest.mark.parametrize(
    ("args", "host", "line"),
    [
        (["-u", "0"], None, "--users 0: at least one user is needed"),
        (["-r", "0"], None, "--spawn-rate 0.0: must be above 0"),
        ([], "127.0.0.1:8000", "--host 127.0.0.1:8000: must start with http:// or https://"),
        (["--app-dir", "/nowhere"], None, "--app-dir /nowhere: no such folder"),
        (["--tls-ca", "/nowhere.pem"], None, "--tls-ca /nowhere.pem: no such file"),
        (["--prompts", "/nowhere.jsonl"], None, "--prompts /nowhere.jsonl: no such file"),
        (
            ["--mix", "chat_ws"],
            None,
            "--mix chat_ws: 'chat_ws' must read NAME=WEIGHT, for example chat_ws=70",
        ),
        (["--mix", "a=-1"], None, "--mix a=-1: 'a=-1' must read NAME=WEIGHT, for example chat_ws=70"),
        (["--mix", "a=0"], None, "--mix a=0: at least one weight must be above 0"),
        (["--seed", "x"], None, "--seed x: must be a whole number, 0 or more"),
        (["--think-s", "-1"], None, "--think-s -1: must be a number of seconds above 0 and at most 3600"),
        (["--think-s", "soon"], None, "--think-s soon: must be a number of seconds above 0 and at most 3600"),
    ],
)
def test_a_bad_value_is_one_line(args: list[str], host: str | None, line: str) -> None:
    """Each names the option, what was given and what is possible."""
    with pytest.raises(UsageError) as caught:
        parse(*args, host=host)

    assert str(caught.value) == line


def test_an_abbreviated_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`--scen` is not taken for --scenario."""
    with pytest.raises(SystemExit) as caught:
        parse("--scen", "chat_ws")

    assert caught.value.code == 2
    assert "unrecognized arguments: --scen chat_ws" in capsys.readouterr().err
