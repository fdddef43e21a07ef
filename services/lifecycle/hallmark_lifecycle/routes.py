"""HTTP of the lifecycle service: nothing but translation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar import get, post
from pydantic import AwareDatetime, ValidationError
from registry_core.events import Event
from registry_core.handlers import fold
from registry_core.http import Caller
from registry_core.http.authorisation import IN_PATH, IN_QUERY
from registry_core.problems import Problem, conflict, invalid, not_found
from registry_core.projections import wait_projected
from registry_core.service import Platform
from registry_core.values import Ref, State, Text, UseContext, Value, parse_ref
from registry_core.version import Version

from hallmark_lifecycle.adapters.pseudonyms import Pseudonym
from hallmark_lifecycle.admission import Question, admit
from hallmark_lifecycle.agenda import as_utc
from hallmark_lifecycle.privacy import erase_customer
from hallmark_lifecycle.projections import DUE, SERVED
from hallmark_lifecycle.served import served_to
from hallmark_lifecycle.state import Lifecycle, known_at
from hallmark_lifecycle.sweeper import Sweep, Sweeper
from hallmark_lifecycle.transitions import TransitionRefusedError, deprecate, reinstate, retire, suspend

WAIT_SECONDS: Final = 5.0

Decision = Callable[[Lifecycle], Sequence[Event]]


class Deprecation(Value):
    cause: Text
    replacement: Ref | None = None


class Cause(Value):
    cause: Text


class SweepRequest(Value):
    as_of: AwareDatetime | None = None
    """Default: now. In the future only with the setting `movable_clock`."""


@get("/v1/admission", action="admit", asset=IN_QUERY)
async def admission(
    *,
    platform: Platform,
    ref: str,
    environment: str,
    business_function: str,
    data_class: str = "internal",
    region: str = "any",
    at: datetime | None = None,
    new_use: bool = True,
) -> dict[str, Any]:
    """May this version serve there, for that? One fold of its stream; `at` asks as the registry knew it then."""
    _check_ref(ref)
    when = as_utc(at) if at else platform.clock()
    (events,) = await platform.reader.read(ref)
    version = known_at(events, when) if at else fold(Version(), events)
    context = _context(business_function, data_class, region)
    question = Question(ref=ref, context=context, environment=environment, at=when, new_use=new_use)
    return {**admit(version, question).document(), "at": when}


@post("/v1/versions/{ref:str}/deprecate", action="lifecycle", asset=IN_PATH)
async def deprecate_version(ref: str, data: Deprecation, caller: Caller) -> dict[str, Any]:
    """Announce the end of a version, and its replacement."""
    if data.replacement:
        caller.require("read", data.replacement)
    if data.replacement and not (await caller.platform.reader.read(data.replacement))[0]:
        raise not_found(data.replacement, "register the replacement first, or name none")

    def decision(state: Lifecycle) -> Sequence[Event]:
        return deprecate(state.of, replacement=data.replacement, cause=data.cause)

    return await _change(caller, ref, State.DEPRECATED, decision)


@post("/v1/versions/{ref:str}/retire", action="lifecycle", asset=IN_PATH)
async def retire_version(ref: str, data: Cause, caller: Caller) -> dict[str, Any]:
    """End a version's serving for good."""
    return await _change(caller, ref, State.RETIRED, lambda state: retire(state.of, cause=data.cause))


@post("/v1/versions/{ref:str}/suspend", action="lifecycle", asset=IN_PATH)
async def suspend_version(ref: str, data: Cause, caller: Caller) -> dict[str, Any]:
    """Emergency stop: refused at admission from now on."""
    return await _change(caller, ref, State.SUSPENDED, lambda state: suspend(state.of, cause=data.cause))


@post("/v1/versions/{ref:str}/reinstate", action="lifecycle", asset=IN_PATH)
async def reinstate_version(ref: str, data: Cause, caller: Caller) -> dict[str, Any]:
    """Undo a suspension, if an approval is still in force."""
    now = caller.platform.clock()
    return await _change(caller, ref, State.APPROVED, lambda state: reinstate(state, cause=data.cause, now=now))


async def _change(caller: Caller, ref: str, to: State, decision: Decision) -> dict[str, Any]:
    _check_ref(ref)

    def decide(state: Lifecycle) -> Sequence[Event]:
        if not state.of.exists:
            raise not_found(ref)
        try:
            return decision(state)
        except TransitionRefusedError as error:
            raise conflict(str(error), error.fix) from error

    written = await caller.decide(ref, Lifecycle(), decide)
    return written.document(ref=ref, state=to)


@dataclass(frozen=True, slots=True)
class Routes:
    """Routes that need more than the platform."""

    sweeper: Sweeper
    earlier: Pseudonym
    """In windows from before every customer had a pseudonym of their own."""

    def handlers(self) -> list[Any]:
        return [
            admission, deprecate_version, retire_version, suspend_version, reinstate_version, erase_customer,
            self._sweeps(), self._served(),
        ]  # fmt: skip

    def _sweeps(self) -> Any:
        @post("/v1/sweeps", action="lifecycle")
        async def sweeps(data: SweepRequest, caller: Caller) -> dict[str, Any]:
            """Do what is due as of a time; again it does nothing new."""
            as_of = _as_of(data, caller.platform)
            await _index_is_current(caller.platform)
            swept = await self.sweeper.sweep(Sweep(as_of, caller.name, caller.seed))
            last = swept.appended[-1].event.id if swept.appended else None
            index = await caller.platform.store.wait_sealed(last) if last else None
            done = [{"ref": found.ref, "type": found.event.data.type} for found in swept.appended]
            return {"as_of": as_of, "events": done, "failed": swept.failed, "log_index": index}

        return sweeps

    def _served(self) -> Any:
        @get("/v1/served", action="audit")
        async def served(
            platform: Platform, customer: str, at: datetime, at_least: int | None = None
        ) -> dict[str, Any]:
            """Which version served this customer in the minute of `at`, its state then, and whether it was approved."""
            if at_least is not None:
                await _projected(platform, at_least)
            pseudonym, earlier = await platform.vault.find(platform.pool, "c", customer), self.earlier(customer)
            found = await served_to(platform.pool, pseudonym, earlier, as_utc(at))
            return {"customer": pseudonym or earlier, "at": as_utc(at), **found}

        return served


def _as_of(data: SweepRequest, platform: Platform) -> datetime:
    now = platform.clock()
    if data.as_of is not None and data.as_of > now and not platform.settings.movable_clock:
        raise invalid(
            f"as_of {data.as_of.isoformat()} lies in the future",
            fix="leave as_of out; only an installation with the setting movable_clock sweeps ahead of time",
            field="/as_of",
        )
    return data.as_of or now


async def _index_is_current(platform: Platform) -> None:
    """A sweep that was asked for sees everything sealed before it."""
    head = await platform.pool.fetchval("select next_index from log.sealer_state")
    if not await wait_projected(platform.pool, platform.notifier, DUE, head - 1, WAIT_SECONDS):
        raise _behind(DUE.name)


async def _projected(platform: Platform, at_least: int) -> None:
    if not await wait_projected(platform.pool, platform.notifier, SERVED, at_least, WAIT_SECONDS):
        raise _behind(SERVED.name)


def _behind(view: str) -> Problem:
    return Problem(503, "view-behind", f"views.{view} is behind the log", fix="try again in a second")


def _check_ref(ref: str) -> None:
    try:
        parse_ref(ref)
    except ValueError as error:
        raise invalid(str(error), fix="name a version as kind:name@semver", field="ref") from error


def _context(business_function: str, data_class: str, region: str) -> UseContext:
    try:
        return UseContext(business_function=business_function, data_class=data_class, region=region)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0])
        raise invalid(f"{field}: {first['msg']}", fix="letters, digits, `.`, `_` and `-`", field=field) from error
