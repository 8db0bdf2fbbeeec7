"""Everything an operator can set, read once from `BACKEND_*` and checked before anything starts.

Times are seconds. Zero means *off* only in `RESUME_GRACE`, `REPLAY_TTL` and `DRAIN_TIMEOUT`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

__all__ = ["Breaker", "ProviderEntry", "Settings", "StartupRefused", "load_settings"]

Seconds = Annotated[float, Field(ge=0.05, le=600, allow_inf_nan=False)]
SecondsLong = Annotated[float, Field(ge=0.05, le=3600, allow_inf_nan=False)]
SecondsOrOff = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Bytes = Annotated[int, Field(ge=1, le=64 * 1024 * 1024)]


class StartupRefused(Exception):
    """The service must not start; the message is one line that names the cause."""

    exit_status: Final = 78  # EX_CONFIG of sysexits.h


class Breaker(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    failures: Annotated[int, Field(ge=0, le=1000)]  # 0: never opens
    cooldown: Seconds


class ProviderEntry(BaseModel):
    """One OpenAI-compatible provider; `models` are exact names or prefixes that end with `*`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]
    models: Annotated[tuple[Annotated[str, Field(pattern=r"^[^*]+\*?$|^\*$")], ...], Field(min_length=1)]
    api_key: SecretStr | None = None
    breaker: Breaker | None = None

    @field_validator("base_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or "@" in parts.netloc or not value.isprintable():
            raise ValueError("must be http(s)://host[:port]/path")
        # What cannot be a port or a host raises ValueError here, not in the first request.
        _ = parts.port, parts.hostname.encode("idna")
        return value

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces")
        return value


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="BACKEND_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: a free one

    database_url: str = "sqlite:///./backend.db"
    db_pool_size: Annotated[int, Field(ge=1, le=100)] = 10
    db_pool_timeout: Seconds = 2
    db_lock_timeout: Seconds = 1
    db_statement_timeout: Seconds = 5

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    http_header_timeout: Seconds = 10
    http_body_timeout: Seconds = 10
    http_max_body_bytes: Bytes = 65_536
    message_max_chars: Annotated[int, Field(ge=1, le=1_000_000)] = 16_000

    lease_ttl: Seconds = 15
    max_runs: Count = 200
    run_queue_timeout: Seconds = 2
    max_runs_per_user: Count = 4
    rate_messages_per_min: Count = 60
    rate_burst: Count = 10

    first_token_timeout: Seconds = 20
    inter_chunk_timeout: Seconds = 15
    total_deadline: Seconds = 120
    max_output_tokens: Count = 2048
    max_response_bytes: Bytes = 1_048_576
    connect_timeout: Seconds = 5
    max_event_bytes: Bytes = 262_144

    ws_max_message_bytes: Bytes = 65_536
    ws_frames_per_sec: Count = 20
    ws_strikes: Annotated[int, Field(ge=1, le=1000)] = 5
    ws_ping_interval: Seconds = 10
    ws_ping_timeout: Seconds = 10
    heartbeat_interval: Seconds = 15
    ws_first_frame_timeout: SecondsLong = 30
    ws_idle_timeout: SecondsLong = 300
    send_timeout: Seconds = 5
    close_grace: Seconds = 1
    socket_sndbuf: Annotated[int, Field(ge=2048, le=16 * 1024 * 1024)] = 32_768
    recheck_interval: Seconds = 60
    max_connections: Count = 2000
    max_connections_per_user: Count = 8
    resume_grace: SecondsOrOff = 15
    replay_ttl: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 120
    drain_timeout: SecondsOrOff = 10

    providers: tuple[ProviderEntry, ...] = ()
    provider_max_attempts: Annotated[int, Field(ge=1, le=5)] = 2
    retry_after_cap: Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)] = 2

    @field_validator("allowed_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("allowed_origins")
    @classmethod
    def _exact_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            exact = f"{parts.scheme}://{parts.netloc}"
            if parts.scheme not in ("http", "https") or not parts.hostname or "@" in exact or origin != exact:
                raise ValueError("each must be scheme://host[:port]")
            _ = parts.port  # a bad port raises ValueError here, not in the first handshake
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        # The driver's name of an asynchronous URL is taken, too; the driver is not.
        if not value.startswith(("sqlite:///", "sqlite+aiosqlite:///", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
        return value

    @field_validator("providers")
    @classmethod
    def _told_apart(cls, value: tuple[ProviderEntry, ...]) -> tuple[ProviderEntry, ...]:
        if len({entry.name for entry in value}) < len(value):
            raise ValueError("each entry needs a name of its own")
        return value

    @model_validator(mode="after")
    def _clocks_agree(self) -> Self:
        if self.total_deadline < self.first_token_timeout:
            raise ValueError("TOTAL_DEADLINE must not be below FIRST_TOKEN_TIMEOUT")
        for name in ("resume_grace", "replay_ttl", "drain_timeout"):
            if 0 < getattr(self, name) < 0.05:
                raise ValueError(f"{name.upper()} must be 0 or at least 0.05")
        return self


def load_settings() -> Settings:
    """Settings from the environment; raises `StartupRefused` that names the variable, never its value."""
    try:
        return Settings()
    except SettingsError as error:  # a list that is not JSON; the message has the field, not the value
        raise StartupRefused(f"configuration: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # A rule about several settings has no place of its own: its message begins with the name.
        setting, *inside = map(str, first["loc"] or ("",))
        name = f"{'.'.join((setting.upper(), *inside))}: " if setting else ""
        raise StartupRefused(
            f"configuration: BACKEND_{name}{first['msg'].removeprefix('Value error, ')}"
        ) from None
