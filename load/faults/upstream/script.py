"""Scripts: lists of operations `[name, argument, …]`, checked when they are stored, not when they run.

    accept_delay MS              waits before anything is answered
    status CODE HEADERS BODY     a whole answer that is no stream; HEADERS {}, BODY text or any JSON
    sse_open HEADERS             opens the stream; any operation that writes an event does it by itself
    delta TEXT · role            a piece of content · a piece without any
    usage PROMPT COMPLETION · finish REASON · done
    comment · error_event JSON   a comment line · an error inside the stream
    raw BASE64                   these bytes as they are, inside the body
    chunk_split N                from here on at most N bytes a write; 0 = off
    rate BYTES_PER_S             from here on no faster; 0 = off
    sleep MS · stall             waits so long · until the peer leaves
    half_close                   no further byte, no end of the body, still reading
    fin                          ends the body as it should end, and the connection
    truncate                     ends the connection in the middle of the body
    rst                          resets it
    repeat N [OPERATIONS]

The end of a script ends the body; the connection stays open for the next request.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast

Operation: TypeAlias = Sequence[object]
Script: TypeAlias = Sequence[Operation]

_NUMBER: Final = (int, float)
_OBJECT: Final = (Mapping,)
_ANY: Final = (object,)
_SHAPES: Final[Mapping[str, tuple[tuple[type, ...], ...]]] = {
    "accept_delay": (_NUMBER,),
    "status": ((int,), _OBJECT, _ANY),
    "sse_open": (_OBJECT,),
    "delta": ((str,),),
    "role": (),
    "usage": ((int,), (int,)),
    "finish": ((str,),),
    "done": (),
    "comment": (),
    "error_event": (_ANY,),
    "raw": ((str,),),
    "chunk_split": ((int,),),
    "rate": (_NUMBER,),
    "sleep": (_NUMBER,),
    "stall": (),
    "half_close": (),
    "fin": (),
    "truncate": (),
    "rst": (),
    "repeat": ((int,), (list, tuple)),
}


class BadScript(ValueError):
    """No script; the message names the operation."""


def checked(value: object) -> tuple[Script, ...]:
    """The entries of a stored script: request n is answered by entry n, later ones by the last."""
    if not isinstance(value, list) or not value:
        raise BadScript("a non-empty list of scripts is expected")
    for entry in value:
        _check(entry)
    return tuple(value)


def _check(script: object) -> None:
    if not isinstance(script, list | tuple):
        raise BadScript("a script is a list of operations")
    for operation in script:
        if not isinstance(operation, list | tuple) or not operation or operation[0] not in _SHAPES:
            raise BadScript(f"unknown operation: {operation!r}")
        name, *arguments = operation
        shape = _SHAPES[name]
        fits = len(arguments) == len(shape) and all(map(isinstance, arguments, shape))
        if not fits or any(isinstance(one, _NUMBER) and one < 0 for one in arguments):
            raise BadScript(f"wrong arguments: {operation!r}")
        if name == "raw":
            try:
                base64.b64decode(arguments[0], validate=True)
            except binascii.Error as error:
                raise BadScript(f"not base64: {operation!r}") from error
        if name == "repeat":
            _check(arguments[1])


def flattened(script: Iterable[Operation]) -> Iterator[Operation]:
    """The operations with `repeat` carried out, one at a time: a repetition may be far longer than memory."""
    for operation in script:
        if operation[0] == "repeat":
            for _ in range(cast("int", operation[1])):
                yield from flattened(cast("Script", operation[2]))
        else:
            yield operation
