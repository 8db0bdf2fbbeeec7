"""From the bytes of a client to a checked value. What does not parse is 400, what is unusable is 422.

Everything a client sends goes through `validate`: the framework's own validation lets NaN and lone surrogates
inside free-form objects pass, and they fail later, in the answer or in the database.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from backend.errors import ErrorCode, Finding, Problem

__all__ = ["MAX_INTEGER", "Schema", "findings_of", "invalid", "parse_json", "read_json", "validate"]

MAX_INTEGER: Final = 2**63 - 1
MAX_DEPTH: Final = 16
_MAX_FINDINGS: Final = 20

M = TypeVar("M", bound=BaseModel)


class Schema(BaseModel):
    """A request body: no unknown fields (a typo must not pass for a default), no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def invalid(pointer: str, code: str, message: str) -> Problem:
    """The problem with one finding."""
    return Problem(ErrorCode.INVALID_REQUEST, errors=[Finding(pointer, code, message)])


async def read_json(request: Request, model: type[M]) -> M:
    """The body as the model says; raises `Problem` with 400, 408, 413, 415 or 422."""
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(ErrorCode.UNSUPPORTED_MEDIA_TYPE)  # L13
    return validate(model, parse_json(body))


def parse_json(body: bytes) -> object:
    """The value of a JSON text; of duplicate keys the last counts."""
    try:
        value: object = json.loads(body.decode())
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise Problem(ErrorCode.INVALID_REQUEST, "The body is not JSON", status=400) from None  # L13
    except RecursionError:
        _too_deep("")
    except ValueError:  # an integer of thousands of digits
        raise invalid("", "number", "An integer is out of range") from None
    return value


def validate(model: type[M], value: object) -> M:
    """The value as the model says, after the rules that hold for every value."""
    _check(value, "", MAX_DEPTH)
    if not isinstance(value, dict):
        raise invalid("", "object", "Must be an object")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Problem(ErrorCode.INVALID_REQUEST, errors=findings_of(error.errors())) from None


def findings_of(errors: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Pydantic's errors without the values they are about."""
    findings = []
    for error in errors[:_MAX_FINDINGS]:
        pointer = "".join(f"/{_escape(str(part))}" for part in error["loc"])
        findings.append(Finding(pointer, str(error["type"]), str(error["msg"])))
    return findings


def _check(value: object, pointer: str, depth_left: int) -> None:
    """Raises for what parses but can neither be stored nor answered."""  # L14
    if isinstance(value, str):
        if "\0" in value:
            raise invalid(pointer, "text", "Text must not contain U+0000")
        if not value.isascii():
            _check_surrogates(value, pointer)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if not 0 <= value <= MAX_INTEGER:
            raise invalid(pointer, "number", "An integer must be in 0..2^63-1")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise invalid(pointer, "number", "A number must be finite")
    elif isinstance(value, dict):
        if depth_left == 0:
            _too_deep(pointer)
        for key, member in value.items():
            _check(key, pointer, depth_left)  # a bad key must not become part of a pointer
            _check(member, f"{pointer}/{_escape(key)}", depth_left - 1)
    elif isinstance(value, list):
        if depth_left == 0:
            _too_deep(pointer)
        for index, member in enumerate(value):
            _check(member, f"{pointer}/{index}", depth_left - 1)


def _check_surrogates(value: str, pointer: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(pointer, "text", "Text must not contain lone surrogates") from None


def _too_deep(pointer: str) -> NoReturn:
    raise invalid(pointer, "depth", f"Nesting must not exceed {MAX_DEPTH} levels") from None


def _escape(part: str) -> str:
    """A pointer's part (RFC 6901 §3), cut so that a long name does not come back whole."""
    return part[:100].replace("~", "~0").replace("/", "~1")
