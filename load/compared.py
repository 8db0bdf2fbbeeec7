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

    @property
    def out_of_room(self) -> bool:
        """Whether the disk was full, on which the databases of both servers lie: then streams that failed are
        nobody's fault."""
        no_room = self.failure is not None and str(self.failure).startswith("no_room")
        return no_room or self.rows.failure is not None

    def take(self, line: BlockLine) -> None:
        """One block that is over."""
        self.lines.append(line)
        self.rows.write(line.to_json())
