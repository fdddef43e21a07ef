"""Many small questions to the database as few large ones: whatever queued up while the last one ran goes in the next.

So a request alone is answered as fast as ever, and under load a round trip serves dozens. A question is never answered
from a query that began before it was asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Together(Generic[K, V]):
    """`await together(key)` is `(await ask([key, …]))[key]`; `ask` gets each key once and answers all of them."""

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._ask = ask
        self._waiting: dict[K, asyncio.Future[V]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, key: K) -> V:
        """Raises what `ask` raises."""
        future = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return await asyncio.shield(future)  # somebody else may wait for the same

    async def _ask_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                answers = await self._ask(list(batch))
                for key, future in batch.items():
                    future.set_result(answers[key])
            except BaseException as error:  # everybody who waits learns what happened
                for future in batch.values():
                    if not future.done():
                        future.set_exception(error if isinstance(error, Exception) else ConnectionError("shut down"))
                        future.exception()  # where the one who asked is gone, nobody else has to be told
                if not isinstance(error, Exception):
                    raise
