"""What a comparison has come to so far, for whoever tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from load.errors import LoadError
from load.report.blocks import BlockRows
from load.verdict.comparison import BlockLine
from load.verdict.decided import Arms


@dataclass(slots=True)
class Compared:
    """arms: what is compared. scenario: what is said to both. rows: where the blocks are written. failure:
    why it could not go on; None while it could. close: leaves nothing running and no trees; may be called
    again."""

    arms: Arms
    scenario: str
    rows: BlockRows
    close: Callable[[], None]
    lines: list[BlockLine] = field(default_factory=list)
    failure: LoadError | None = None

    def take(self, line: BlockLine) -> None:
        """One block that is over."""
        self.lines.append(line)
        self.rows.write(line.to_json())
