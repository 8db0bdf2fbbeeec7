"""Where the users of a comparison wait for each other.

    users         take ---- work ---- take ---- work ---- take (None: it is over)
    coordinator        hand_out: returns when all are back at `take`

Locks of the standard library, cooperative under Locust. A user whose work fails comes back to `take` as well,
since its task is called again.
"""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Barrier(Generic[Work]):
    """For so many users; more than these never pass it together."""

    def __init__(self, users: int) -> None:
        self.users = users
        self._lock = threading.Lock()
        self._handed = threading.Condition(self._lock)
        self._back = threading.Condition(self._lock)
        self._waiting = 0
        self._turn = 0
        self._work: Work | None = None
        self._over = False

    @property
    def over(self) -> bool:
        """Whether everybody was sent home."""
        return self._over

    def take(self) -> Work | None:
        """Waits until work is handed out; None when there will be none."""
        with self._lock:
            turn = self._turn
            self._waiting += 1
            if self._waiting >= self.users:
                self._back.notify_all()
            try:
                while self._turn == turn and not self._over:
                    self._handed.wait()
            except BaseException:  # a user that is killed while it waits
                if self._turn == turn:
                    self._waiting -= 1
                raise
            return None if self._over else self._work

    def gather(self, timeout_s: float) -> bool:
        """Whether all users wait, now or within that time."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while self._waiting < self.users and not self._over:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._back.wait(left_s)
            return not self._over

    def hand_out(self, work: Work, timeout_s: float) -> bool:
        """Gives it to all users, who wait; whether all came back within that time."""
        with self._lock:
            if self._over:
                return False
            self._work = work
            self._turn += 1
            self._waiting = 0
            self._handed.notify_all()
        return self.gather(timeout_s)

    def end(self) -> None:
        """Sends everybody home, the coordinator too; may be called again."""
        with self._lock:
            self._over = True
            self._handed.notify_all()
            self._back.notify_all()
