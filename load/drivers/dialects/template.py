"""A request as data with places to fill in: `{prompt}`, `{messages}`, `{session}`, `{model}`, …

A string that is one place alone becomes the value itself, a list for instance; inside longer text the value
is inserted as text. A key whose only value is a place that is not given vanishes with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from load.errors import UsageError

PLACES: Final = ("prompt", "messages", "session", "model", "id", "seed", "user")
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
_GONE: Final = object()


@dataclass(frozen=True, slots=True)
class Template:
    """shape: JSON values; its strings may hold places."""

    shape: Any

    def filled(self, values: Mapping[str, Any]) -> Any:
        """A copy with every place filled; places that are None vanish."""
        filled = _fill(self.shape, values)
        return None if filled is _GONE else filled

    @property
    def places(self) -> frozenset[str]:
        """The names that occur."""
        return frozenset(_PLACE.findall(str(self.shape)))


def template(shape: Any, where: str) -> Template:
    """Raises UsageError for a place that nobody fills."""
    made = Template(shape)
    for name in sorted(made.places - set(PLACES)):
        raise UsageError(f"{where}: {{{name}}} is unknown; there are {', '.join(PLACES)}")
    return made


def _fill(shape: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(shape, dict):
        filled = {name: _fill(value, values) for name, value in shape.items()}
        return {name: value for name, value in filled.items() if value is not _GONE}
    if isinstance(shape, list):
        return [value for value in (_fill(one, values) for one in shape) if value is not _GONE]
    if not isinstance(shape, str):
        return shape
    alone = _PLACE.fullmatch(shape)
    if alone is not None:
        value = values.get(alone[1])
        return _GONE if value is None else value
    return _PLACE.sub(lambda found: str(values.get(found[1], "")), shape)
