"""How far a transfer is, for whoever watches."""

from collections.abc import Callable

Progress = Callable[[int], object]
"""Called with the bytes moved since the last call; a negative number when an attempt begins anew."""


class Meter:
    """Tells `Progress` the difference whenever it is told the position, so that nothing counts twice."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._position = progress or (lambda _: None), 0

    def at(self, position: int) -> None:
        """So many bytes of the file are through."""
        moved, self._position = position - self._position, position
        if moved:
            self._progress(moved)
