"""Settings: what an operator may set, and how a bad value is told."""

from __future__ import annotations

import json

import pytest

from backend.settings import Settings, StartupRefused, load_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("FIRST_TOKEN_TIMEOUT", "0"),  # zero is not off
        ("FIRST_TOKEN_TIMEOUT", "0.049"),
        ("FIRST_TOKEN_TIMEOUT", "nan"),
        ("FIRST_TOKEN_TIMEOUT", "inf"),
        ("INTER_CHUNK_TIMEOUT", "600.1"),
        ("WS_IDLE_TIMEOUT", "3601"),
        ("DRAIN_TIMEOUT", "-1"),
        ("RESUME_GRACE", "0.01"),  # off is 0, and nothing lies between 0 and 0.05
        ("MAX_RUNS_PER_USER", "0"),
        ("RATE_BURST", "-1"),
        ("RATE_BURST", "1.5"),
        ("PROVIDER_MAX_ATTEMPTS", "6"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "sqlite:x.db"),
        ("ALLOWED_ORIGINS", "https://app.example/path"),
        ("ALLOWED_ORIGINS", "app.example"),
        ("ALLOWED_ORIGINS", "https://app.example:port"),
        ("ALLOWED_ORIGINS", "null"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("PROVIDERS", "not json"),
        ("PROVIDERS", '[{"name": "a"}]'),
        ("PROVIDERS", '[{"name": "a", "base_url": "ftp://x", "models": ["m"]}]'),
        ("PROVIDERS", '{"name": "a"}'),
    ],
)
def test_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The refusal is one line with the variable, never the value."""
    monkeypatch.setenv(f"BACKEND_{name}", value)

    with pytest.raises(StartupRefused) as refused:
        load_settings()

    assert name in str(refused.value).upper()
    assert "\n" not in str(refused.value)


def test_clocks_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The total deadline cannot come before that of the first token."""
    monkeypatch.setenv("BACKEND_TOTAL_DEADLINE", "1")
    monkeypatch.setenv("BACKEND_FIRST_TOKEN_TIMEOUT", "2")

    with pytest.raises(StartupRefused, match="TOTAL_DEADLINE"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("first_token_timeout", "0.05", 0.05),
        ("inter_chunk_timeout", "600", 600.0),
        ("drain_timeout", "0", 0.0),
        ("port", "0", 0),
        ("allowed_origins", "https://a.example, http://b:8080", ("https://a.example", "http://b:8080")),
        ("allowed_origins", "", ()),
    ],
)  # fmt: skip
def test_borders_are_taken(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    """The last value inside each border is a setting."""
    monkeypatch.setenv(f"BACKEND_{name.upper()}", text)

    assert getattr(load_settings(), name) == value


def test_a_provider_hides_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's key is not in the text of the settings."""
    entry = '[{"name": "a", "base_url": "https://x.example/v1", "models": ["m*"], "api_key": "sk-secret"}]'
    monkeypatch.setenv("BACKEND_PROVIDERS", entry)

    assert "sk-secret" not in repr(load_settings())


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("name", "a b"),
        ("base_url", "https://x.example/v1?key=sk-secret"),
        ("base_url", "https://user:sk-secret@x.example/v1"),
        ("base_url", "https://x.example:99999/v1"),
        ("base_url", "https://x..example/v1"),
        ("base_url", "https://:443/v1"),
        ("base_url", "https://x.example/\x7f"),
        ("models", []),
        ("models", ["a*b"]),
        ("models", [""]),
        ("api_key", "sk-secret\r\nX-Planted: 1"),
        ("api_key", "sk-sécret"),
        ("api_key", ""),
        ("apikey", "sk-secret"),
    ],
)
def test_bad_provider_names_its_member(monkeypatch: pytest.MonkeyPatch, member: str, value: object) -> None:
    """The refusal leads to the place in the list; no value of it is told, be it the key."""
    entry = {"name": "a", "base_url": "https://x.example/v1", "models": ["m*"], member: value}
    monkeypatch.setenv("BACKEND_PROVIDERS", json.dumps([entry]))

    with pytest.raises(StartupRefused) as refused:
        load_settings()

    assert str(refused.value).startswith(f"configuration: BACKEND_PROVIDERS.0.{member}")
    assert "cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_providers_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries of one name could not be told apart in the attempts of a run."""
    entry = {"name": "a", "base_url": "https://x.example/v1", "models": ["m*"]}
    monkeypatch.setenv("BACKEND_PROVIDERS", json.dumps([entry, entry]))

    with pytest.raises(StartupRefused, match=r"^configuration: BACKEND_PROVIDERS: each entry needs a name"):
        load_settings()


DEFAULTS = {
    "host": "127.0.0.1", "port": 8000, "db_pool_size": 10, "db_lock_timeout": 1,
    "http_max_body_bytes": 65_536,
    "message_max_chars": 16_000, "lease_ttl": 15, "max_runs": 200, "run_queue_timeout": 2,
    "max_runs_per_user": 4, "rate_messages_per_min": 60, "rate_burst": 10, "first_token_timeout": 20,
    "inter_chunk_timeout": 15, "total_deadline": 120, "max_output_tokens": 2048, "ws_frames_per_sec": 20,
    "ws_strikes": 5, "heartbeat_interval": 15, "send_timeout": 5, "close_grace": 1, "socket_sndbuf": 32_768,
    "recheck_interval": 60, "max_connections": 2000, "max_connections_per_user": 8, "resume_grace": 15,
    "replay_ttl": 120, "drain_timeout": 10, "providers": (), "provider_max_attempts": 2, "retry_after_cap": 2,
    "connect_timeout": 5, "max_event_bytes": 262_144,
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_default(name: str, value: object) -> None:
    """A fresh install has the values of the specification."""
    assert Settings.model_fields[name].default == value
