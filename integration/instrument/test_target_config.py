"""What a configuration file says of the target, and what is said about one that cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from load.configuration import read_configuration
from load.errors import UsageError
from load.target.config import ROOT, TargetConfig, bundled, configured_target


def written(folder: Path, text: str, name: str = "streamgauge.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_file_describes_a_target(tmp_path: Path) -> None:
    """Every key, with paths that start where the file lies."""
    (tmp_path / "src").mkdir()
    (tmp_path / "python").touch()
    text = """
        app = "shop.api:make"
        app_dir = "src"
        python = "python"
        server = "shop.serve:make"
        setup = [["python", "-m", "shop.migrate"], "python -m shop.seed {scratch}"]
        ready = "/healthz"
        source = ["shop"]
        workers = 1
        drop_env = ["SHOP_"]
        ready_timeout_s = 9
        [env]
        OPENAI_BASE_URL = "{upstream}/v1"
        SHOP = '{"a":"{scratch}"}'
    """

    assert configured_target(read_configuration(written(tmp_path, text))) == TargetConfig(
        app="shop.api:make",
        app_dir=tmp_path / "src",
        python=tmp_path / "python",
        server="shop.serve:make",
        setup=(("python", "-m", "shop.migrate"), ("python", "-m", "shop.seed", "{scratch}")),
        ready="/healthz",
        source=("shop",),
        drop_env=("SHOP_",),
        ready_timeout_s=9.0,
        env={"OPENAI_BASE_URL": "{upstream}/v1", "SHOP": '{"a":"{scratch}"}'},
    )


def test_the_table_of_a_pyproject_counts(tmp_path: Path) -> None:
    """Beside whatever else stands there."""
    file = written(tmp_path, '[project]\nname = "x"\n[tool.streamgauge]\napp = "a:b"', "pyproject.toml")

    assert configured_target(read_configuration(file)) == TargetConfig("a:b", tmp_path)


def test_a_command_has_no_lines_to_measure(tmp_path: Path) -> None:
    """A server that Python cannot import is started by its own command, on a port it is told."""
    config = configured_target(read_configuration(written(tmp_path, 'command = "node server.js {port}"')))

    assert (config.command, config.app, config.coverage) == (("node", "server.js", "{port}"), "", "off")


def test_the_bundled_backend_is_such_a_configuration() -> None:
    """From the checkout's own pyproject.toml, with as many users as are asked for."""
    config = bundled(7, {"BACKEND_MAX_RUNS": "3"})

    assert config.app_dir == ROOT
    assert config.python == Path(sys.executable)
    assert config.setup[1] == ("python", "-m", "backend", "demo", "--users", "7", "--json")
    assert config.env["BACKEND_MAX_RUNS"] == "3"
    assert config.asks_upstream is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app = ", "--config {file}: Invalid value (at "),
        ('ap = "a:b"', "streamgauge.toml: ap is unknown; there are app, app_dir, auth, command, coverage,"),
        ("", 'streamgauge.toml: neither app nor command; name one, for example app = "shop.api:app"'),
        ('app = "a:b"\ncommand = "c"', "streamgauge.toml: both app and command; name one,"),
        (
            'app = "shop.api"',
            'streamgauge.toml: app = "shop.api" must read module:attribute, for example "shop.api:app"',
        ),
        ("app = 3", "streamgauge.toml: app must be a text, in quotes"),
        ('app = "a:b"\napp_dir = "gone"', "streamgauge.toml: app_dir = '{folder}/gone': no such folder"),
        ('app = "a:b"\npython = "gone"', "streamgauge.toml: python = 'gone': no such file in {folder}"),
        ('app = "a:b"\nworkers = 0', "streamgauge.toml: workers must be a whole number, 1 or more"),
        ('app = "a:b"\nsetup = "x"', "streamgauge.toml: setup must be a list of commands,"),
        ('app = "a:b"\nsetup = [3]', "streamgauge.toml: setup 1 must be a text, or a list of texts"),
        (
            'app = "a:b"\nsetup = ["x {upsteam}"]',
            "streamgauge.toml: setup 1: {upsteam} is unknown; there are scratch,",
        ),
        ('app = "a:b"\nenv = 3', "streamgauge.toml: env must be a table of texts"),
        ('app = "a:b"\nenv = { A = 3 }', "streamgauge.toml: env.A must be a text, in quotes"),
        (
            'app = "a:b"\nenv = { A = "{prt}" }',
            "streamgauge.toml: env.A: {prt} is unknown; there are scratch, port,",
        ),
        ("[scenario]\na = 1", "streamgauge.toml: neither app nor command"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong, and what is possible."""
    file = written(tmp_path, text)
    expected = message.replace("{file}", str(file)).replace("{folder}", str(tmp_path))

    with pytest.raises(UsageError) as caught:
        configured_target(read_configuration(file))

    assert str(caught.value)[: len(expected)] == expected
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.toml", None, "--config {file}: no such file"),
        (
            "pyproject.toml",
            "[project]\n",
            "--config {file}: it has no table [tool.streamgauge]; `make init` proposes one",
        ),
    ],
)
def test_a_file_that_says_nothing(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    """Missing, or without our table."""
    file = tmp_path / name if text is None else written(tmp_path, text, name)

    with pytest.raises(UsageError) as caught:
        read_configuration(file)

    assert str(caught.value) == message.replace("{file}", str(file))
