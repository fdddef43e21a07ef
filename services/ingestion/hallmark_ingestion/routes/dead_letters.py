"""What could not be handled: look at it, mend its cause, replay it."""

from base64 import b64encode
from dataclasses import asdict
from typing import Annotated, Any, Literal

from litestar import get, post
from litestar.params import Parameter, QueryParameter
from registry_core.messaging import dead_letters
from registry_core.messaging.dead_letters import DeadLetter
from registry_core.problems import conflict, not_found
from registry_core.service import Platform


def _document(letter: DeadLetter) -> dict[str, Any]:
    text = letter.value.decode("utf-8", "backslashreplace")
    return {**asdict(letter), "value": b64encode(letter.value).decode(), "text": text[:4000]}


@get("/v1/dead-letters", action="dead-letters")
async def list_letters(
    platform: Platform,
    letter_state: Annotated[Literal["open", "replaying", "replayed"] | None, QueryParameter(name="state")] = None,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """The newest first."""
    return [_document(letter) for letter in await dead_letters.listing(platform.pool, letter_state, limit)]


@get("/v1/dead-letters/{letter:int}", action="dead-letters")
async def show_letter(letter: int, platform: Platform) -> dict[str, Any]:
    found = await dead_letters.find(platform.pool, letter)
    if found is None:
        raise not_found(f"dead letter {letter}", "list them with `hallmark dead-letters list`")
    return _document(found)


@post("/v1/dead-letters/{letter:int}/replay", action="dead-letters", status_code=202)
async def replay_letter(letter: int, platform: Platform) -> dict[str, Any]:
    """Its own consumer handles it again within a second or two; if it fails again, it is open again."""
    if await dead_letters.find(platform.pool, letter) is None:
        raise not_found(f"dead letter {letter}", "list them with `hallmark dead-letters list`")
    if not await dead_letters.request_replay(platform.pool, letter):
        raise conflict(
            f"dead letter {letter} is not open, came over HTTP, was not written by the relay or could not be decoded",
            "only open letters of inbound topics, of failed jobs and of the log's own events can be replayed",
        )
    return {"id": letter, "state": "replaying"}


ROUTES = [list_letters, show_letter, replay_letter]
