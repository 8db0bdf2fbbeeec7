"""Options: what the command line and the web form may say, and the one line for what they may not."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from load.errors import UsageError
from load.options import Defaults, Options, Rate, Stage, add_options, read_options

DEFAULTS = Defaults(
    users=50, spawn_rate=25, run_time="30s", think_s=0.5, host_think_s=2.0, mix="chat_ws=70,chat_http=30"
)


def parse(*args: str, host: str | None = None) -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("-u", "--users", dest="num_users", type=int)
    parser.add_argument("-r", "--spawn-rate", type=float)
    parser.add_argument("-t", "--run-time", default="")
    parser.add_argument("--processes", type=int)
    for name in ("--master", "--worker"):
        parser.add_argument(name, action="store_true")
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


def test_a_search_brings_ordinary_users_to_a_target_that_is_not_slowed() -> None:
    """Neither failures nor the measurement of lines; -u and --rate say the most that may come."""
    options = parse("--find-capacity", "-u", "300")

    assert (options.find_capacity, options.users) == (True, 300)
    assert (options.failures, options.coverage) == ("none", "off")
    assert parse("--find-capacity", "--rate", "40/s", host="http://127.0.0.1:8000").failures == "none"


def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    """A file that is there; certificates are verified unless told otherwise."""
    file = tmp_path / "ca.pem"
    file.touch()
    options = parse("--tls-ca", str(file))

    assert (options.tls_ca, options.insecure, parse("--insecure").insecure) == (file, False, True)


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("40/s", Rate(40), "40/s, evenly spaced"),
        ("0.5/s,poisson", Rate(0.5, poisson=True), "0.5/s, poisson"),
        ("30/m, poisson", Rate(0.5, poisson=True), "0.5/s, poisson"),
    ],
)
def test_a_rate(text: str, expected: Rate, shown: str) -> None:
    """Open load, whatever --arrivals says by default."""
    options = parse("--rate", text, "--max-in-flight", "9")

    assert (options.rate, str(options.rate), options.max_in_flight) == (expected, shown, 9)
    assert parse("--rate", expected.given).rate == expected


def test_the_kind_of_load() -> None:
    """As a report names it, and whether it has intended starts."""
    closed, default, rate = parse("--arrivals", "closed"), parse(), parse("--rate", "1/s")

    assert [(one.loop, one.is_open, one.is_corrected) for one in (closed, default, rate)] == [
        ("closed loop", False, False),
        ("corrected closed loop", False, True),
        ("open load", True, True),
    ]


def test_stages_say_how_many_come_and_how_long() -> None:
    """In place of -u and -t."""
    options = parse("--stages", "10:30s, 50:2m,5:1h,1:5")

    assert options.stages == (Stage(10, 30), Stage(50, 120), Stage(5, 3600), Stage(1, 5))
    assert (options.users, options.run_time_s) == (50, 3755)


def test_scenarios_add_up() -> None:
    """--scenario may be repeated or hold a list; a name counts once."""
    assert parse("--scenario", "a", "--scenario", "b, a").scenarios == ("a", "b")


BOTH = "--rate 1/s and --stages 1:1s both say how many come; drop one"
NOBODY_WAITS = "--arrivals closed: --rate is open load, nobody waits for an answer there"
NOT_OPEN = "--max-in-flight 5: only with --rate or --replay; -u says how many users come"
WHOLE = "a whole number, 1 or more"


@pytest.mark.parametrize(
    ("args", "host", "line"),
    [
        (["-u", "0"], None, "--users 0: at least one user is needed"),
        (["-r", "0"], None, "--spawn-rate 0.0: must be above 0"),
        ([], "127.0.0.1:8000", "--host 127.0.0.1:8000: must start with http:// or https://"),
        (["--app-dir", "/nowhere"], None, "--app-dir /nowhere: no such folder"),
        *(
            (
                ["--rate", text],
                None,
                f"--rate {text}: must read like 40/s, 30/m or 40/s,poisson, at most 100000/s",
            )
            for text in ("40", "0/s", "40/s,even", "100001/s", "fast")
        ),
        (["--replay", "/nowhere"], None, "--replay /nowhere: no such file"),
        (["--rate", "1/s", "--stages", "1:1s"], None, BOTH),
        (["--rate", "1/s", "--arrivals", "closed"], None, NOBODY_WAITS),
        (["--max-in-flight", "5"], None, NOT_OPEN),
        *(
            (["--rate", "1/s", "--max-in-flight", text], None, f"--max-in-flight {text}: must be {WHOLE}")
            for text in ("0", "many")
        ),
        *(
            (
                ["--stages", text],
                None,
                f"--stages {text}: '{text}' must read N:TIME, for example 10:30s or 50:2m",
            )
            for text in ("10", "10:0s", "10:5d", "a:5s")
        ),
        (["--stages", "0:5s"], None, "--users 0: at least one user is needed"),
        (
            ["--find-capacity", "--stages", "5:5s"],
            None,
            "--find-capacity and --stages 5:5s both say how many come; drop one",
        ),
        (
            ["--find-capacity", "--replay", "t.jsonl"],
            None,
            "--find-capacity and --replay t.jsonl both say how many come; drop one",
        ),
        (
            ["--find-capacity", "--processes", "2"],
            None,
            "--find-capacity judges each step in one process; drop --processes",
        ),
        (
            ["--find-capacity", "--failures", "all"],
            None,
            "--find-capacity and --failures all: only ordinary users come; drop one",
        ),
        (
            ["--find-capacity", "--coverage", "branch"],
            None,
            "--find-capacity and --coverage branch: the tracer would be measured, too; drop one",
        ),
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


def test_what_is_compared_with() -> None:
    """A commit, an app, a server beside --host, or itself."""
    here = "http://127.0.0.1:8000"
    base, app = parse("--base", "HEAD@{1}"), parse("--base-app", "shop.old:app")
    server, itself = parse("--base-host", here, host=here), parse("--selfcheck")

    assert [
        (one.base, one.base_app, one.base_host, one.selfcheck) for one in (base, app, server, itself)
    ] == [
        ("HEAD@{1}", None, None, False),
        (None, "shop.old:app", None, False),
        (None, None, here, False),
        (None, None, None, True),
    ]
    assert [one.is_paired for one in (base, app, server, itself, parse())] == [True] * 4 + [False]


ITS_LOAD = "the blocks of a comparison are its load; drop"


@pytest.mark.parametrize(
    ("args", "host", "line"),
    [
        (["--base-app", "a:b"], None, "--base main and --base-app a:b name two bases; drop one"),
        (
            ["--base-host", "http://b"],
            "http://h",
            "--base main and --base-host http://b name two bases; drop one",
        ),
        (["--selfcheck"], None, "--base main and --selfcheck name two bases; drop one"),
        (
            [],
            "http://h",
            "--base main starts both servers; drop --host http://h, or name the other with --base-host",
        ),
        *(
            (given, None, f"--base compares two servers from one generator; drop {given[0]}")
            for given in (["--processes", "2"], ["--processes", "-1"], ["--master"], ["--worker"])
        ),
        (["--stages", "5:5s"], None, f"--base main: {ITS_LOAD} --stages"),
        (["--rate", "1/s"], None, f"--base main: {ITS_LOAD} --rate"),
        (["--replay", "t.jsonl"], None, f"--base main: {ITS_LOAD} --replay"),
        (["--find-capacity"], None, f"--base main: {ITS_LOAD} --find-capacity"),
        (
            ["--objective", "ttft_ms p95 < 1"],
            None,
            "--base main: objectives are not judged, blocks are not the profile's load; drop --objective",
        ),
        (
            ["--coverage", "branch"],
            None,
            "--base main: nothing is covered in a comparison; drop --coverage branch",
        ),
    ],
)
def test_what_does_not_fit_a_comparison_is_one_line(args: list[str], host: str | None, line: str) -> None:
    """It says what to drop."""
    with pytest.raises(UsageError) as caught:
        parse("--base", "main", *args, host=host)

    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("args", "host", "line"),
    [
        (
            ["--base-host", "http://b"],
            None,
            "--base-host http://b: compares two servers that run; name the other with --host",
        ),
        (["--base-host", "b:80"], "http://h", "--base-host b:80: must start with http:// or https://"),
        (
            ["--base-app", "a:b"],
            "http://h",
            "--base-app a:b starts both servers; drop --host http://h, or name the other with --base-host",
        ),
        (
            ["--selfcheck", "--processes", "2"],
            None,
            "--selfcheck compares two servers from one generator; drop --processes",
        ),
        (["--selfcheck", "--rate", "1/s"], None, f"--selfcheck: {ITS_LOAD} --rate"),
        (
            ["--base-app", "a:b", "--base-host", "http://b"],
            "http://h",
            "--base-app a:b and --base-host http://b name two bases; drop one",
        ),
    ],
)
def test_a_base_of_another_kind_is_checked_as_well(args: list[str], host: str | None, line: str) -> None:
    """It is named as it was given."""
    with pytest.raises(UsageError) as caught:
        parse(*args, host=host)

    assert str(caught.value) == line


@pytest.mark.parametrize("option", ["--base", "--base-app", "--base-host"])
@pytest.mark.parametrize("given", ["", " "])
def test_a_base_without_a_name_is_refused(
    option: str, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a variable gives that is not set; without a comparison the build would be green."""
    with pytest.raises(SystemExit) as caught:
        parse(f"{option}={given}")

    assert caught.value.code == 2
    assert f"argument {option}: must not be empty" in capsys.readouterr().err


def test_an_abbreviated_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`--scen` is not taken for --scenario."""
    with pytest.raises(SystemExit) as caught:
        parse("--scen", "chat_ws")

    assert caught.value.code == 2
    assert "unrecognized arguments: --scen chat_ws" in capsys.readouterr().err
