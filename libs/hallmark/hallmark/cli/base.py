"""What every command shares: the client, errors as exit codes, `--json`, and commands of other packages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from hallmark.cli import completion

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from hallmark.aio.client import AsyncClient
    from hallmark.client import Client

REFUSED, USAGE, UNREACHABLE, MISSED, LATE = 1, 2, 3, 4, 5
"""Exit codes; docs/cli.md has the table."""
INTERRUPTED: Final = 130
RETRY_SECONDS: Final = 15.0
_EXTENSIONS: Final = "hallmark.commands"


@dataclass(frozen=True, slots=True)
class Connection:
    """The options before the command."""

    url: str | None = None
    retry_seconds: float = RETRY_SECONDS


_connection: ContextVar[Connection] = ContextVar("connection", default=Connection())  # noqa: B039 - it is frozen
_json: ContextVar[bool] = ContextVar("json", default=False)


def connect_to(connection: Connection) -> None:
    """Begin an invocation: what `client` uses, and output for a person until `--json` is met."""
    _connection.set(connection)
    _json.set(False)


def _remember_json(value: bool) -> bool:
    _json.set(value)
    return value


Json = Annotated[bool, typer.Option("--json", callback=_remember_json, is_eager=True, help="Print JSON, for machines.")]


def checked_ref(text: str) -> str:
    """Raises typer.BadParameter that shows the form."""
    from registry_core.values import parse_ref  # noqa: PLC0415 - only when needed

    try:
        parse_ref(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def checked_ref_or_alias(text: str) -> str:
    """Raises typer.BadParameter that shows the form of a version reference."""
    from registry_core.values import parse_alias  # noqa: PLC0415 - only when needed

    try:
        parse_alias(text)
    except ValueError:
        return checked_ref(text)
    return text


def checked_asset(text: str) -> str:
    """Raises typer.BadParameter that shows the form."""
    from registry_core.values import parse_asset  # noqa: PLC0415 - only when needed

    try:
        parse_asset(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF", parser=checked_ref, autocompletion=completion.refs,
        help="kind:name@version, e.g. model:credit-risk@1.0.0",
    ),
]  # fmt: skip


Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.")]


RefOrAlias = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        parser=checked_ref_or_alias,
        autocompletion=completion.refs,
        help="kind:name@version, or kind:name@alias",
    ),
]


def wants_json() -> bool:
    return _json.get()


def client(url: str | None = None, token: str | None = None) -> "Client":
    """The SDK's client; the first failure to reach the server is told on standard error."""
    from hallmark.client import Client  # noqa: PLC0415 - httpx takes a quarter of a second
    from hallmark.session import Retry  # noqa: PLC0415 - as above

    wanted = _connection.get()
    return Client(url or wanted.url, token, retry=Retry(wanted.retry_seconds, _tell_waiting))


def async_client() -> "AsyncClient":
    """The same for a command that waits for several things at once."""
    from hallmark.aio.client import AsyncClient  # noqa: PLC0415 - as above
    from hallmark.aio.session import AsyncRetry  # noqa: PLC0415 - as above

    wanted = _connection.get()
    return AsyncClient(wanted.url, retry=AsyncRetry(wanted.retry_seconds, _tell_waiting))


def _tell_waiting(reason: str) -> None:
    if not wants_json():
        seconds = _connection.get().retry_seconds
        typer.echo(f"no answer ({reason}); trying for {seconds:g} s ...", err=True)


def fail(detail: str, fix: str = "", code: int = REFUSED) -> NoReturn:
    """End with an error and its next step."""
    _say({"detail": detail, "fix": fix} if fix else {"detail": detail})
    raise typer.Exit(code)


def _say(problem: dict[str, Any]) -> None:
    """On standard error: one line of JSON, or sentences."""
    from hallmark.cli import output  # noqa: PLC0415 - only when needed

    if wants_json():
        typer.echo(output.as_json(problem, indent=None), err=True)
        return
    typer.secho(f"Error: {output.plain(problem['detail'])}", err=True, fg="red")
    told = [
        f"{output.plain(e.get('field', ''))}: {output.plain(e.get('message', ''))}" for e in problem.get("errors", ())
    ]
    for each in told if len(told) > 1 or told != [output.plain(problem["detail"])] else ():
        typer.echo(f"  {each}", err=True)
    if fix := problem.get("fix"):
        typer.echo(f"Next:  {output.plain(fix)}", err=True)


@contextmanager
def _errors_as_exits(*, json: bool) -> Iterator[None]:
    """`json` says whether it is wanted where the command line is too wrong to be read."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        known = _usage(error) if json else None
        known = known or _known(error)
        if known is None:
            raise
        problem, code = known
        _say(problem)
        raise typer.Exit(code) from error


def _usage(error: Any) -> tuple[dict[str, Any], int] | None:
    """A command line that is wrong: else typer tells a person so, with the usage."""
    if all(kind.__name__ != "UsageError" for kind in type(error).__mro__):
        return None
    _json.set(True)
    where = error.ctx.command_path if error.ctx else "hallmark"
    return {"title": "Wrong usage", "detail": error.format_message(), "fix": f"see `{where} --help`"}, USAGE


def _known(error: Exception) -> tuple[dict[str, Any], int] | None:
    """What an error says to the user and the exit code, if it is one that users can mend."""
    from hallmark.errors import HallmarkError, UnreachableError, WaitTimeoutError  # noqa: PLC0415 - only when needed

    if isinstance(error, HallmarkError):
        codes = {UnreachableError: UNREACHABLE, WaitTimeoutError: LATE}
        return error.document(), codes.get(type(error), REFUSED)
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, OSError) and error.filename:
        return {"detail": f"{error.filename}: {error.strerror}", "fix": "check the path and its permissions"}, REFUSED
    if isinstance(error, ModuleNotFoundError):
        return {"detail": f"{error.name} is not installed", "fix": _package_of(error.name or "")}, REFUSED
    return _known_on_the_server(error)


def _package_of(module: str) -> str:
    if module.startswith("hallmark_"):
        return f"install {module.partition('.')[0].replace('_', '-')}"
    return "install registry-core[server,local]"


def _known_on_the_server(error: Exception) -> tuple[dict[str, Any], int] | None:
    """Errors of modules that a plain command never imports; by name, so that they need not be imported here."""
    match type(error).__name__:
        case "LocalStackError" | "KeyFileError" | "BackupError":
            return {"detail": str(error)}, REFUSED
        case "ValidationError":
            return {"detail": _faults(error), "fix": "correct what is named"}, USAGE
        case "TOMLDecodeError":
            return {"detail": f"the file is not TOML: {error}", "fix": "correct it"}, USAGE
        case _:
            return None


def _faults(error: Any) -> str:
    """A pydantic ValidationError's faults, without the values, which may be secret."""
    from registry_core.forms import in_words  # noqa: PLC0415 - only when needed

    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or error.title}: {in_words(each['msg'])}" for each in found)


class RootGroup(TyperGroup):
    """The outermost command: turns errors into exit codes and knows the commands that other packages bring."""

    def invoke(self, ctx: Any) -> Any:
        words = [*ctx._protected_args, *ctx.args]
        with _errors_as_exits(json="--json" in words):
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *_extensions()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if found := super().get_command(ctx, cmd_name):
            return found
        entry = _extensions().get(cmd_name)
        return _Extension(entry) if entry else None


class _Extension(TyperCommand):
    """A command of another package, which is imported only when the command is used."""

    def __init__(self, entry: "EntryPoint") -> None:
        summary = entry.dist.metadata["Summary"] if entry.dist else ""
        super().__init__(name=entry.name, help=summary, rich_markup_mode=None)
        self._entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self._load().make_context(info_name, args, parent, **extra)

    def _load(self) -> Any:
        found = self._entry.load()
        return get_command(found if isinstance(found, typer.Typer) else _app_of(found))


def _app_of(function: Callable[..., Any]) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(function)
    return app


def _extensions() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - reads every installed package's metadata

    return {entry.name: entry for entry in entry_points(group=_EXTENSIONS)}


def group(help: str) -> typer.Typer:  # noqa: A002 - typer's word
    """A group of commands."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=help)


_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> float:
    """Seconds: 90, 90s, 30m, 12h or 2d. Raises typer.BadParameter."""
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, "seconds")
    try:
        seconds = timedelta(**{unit: float(number)}).total_seconds()
    except (ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < timedelta.max.total_seconds():
        raise typer.BadParameter(f"{text!r} is no span of time; write 90s, 30m, 12h or 2d")
    return seconds


Timeout = Annotated[
    float | None, typer.Option("--timeout", parser=span, metavar="SPAN", help="How long: 90s, 30m, 12h or 2d.")
]


def moment(text: str) -> datetime:
    """ISO 8601 (UTC where it names no offset), or from now on: 90d, 12h, 30m, 10s. Raises typer.BadParameter."""
    return _time(text, 1, "write 2026-12-01T10:00Z, or 90d or 12h from now")


def past(text: str) -> datetime:
    """As `moment`, but 90d is 90 days ago; a date is its first instant."""
    return _time(text, -1, "write 2026-03-01T09:30Z, 2026-03-01, or 3d or 2h ago")


def _time(text: str, direction: int, fix: str) -> datetime:
    number, unit = text[:-1], _UNITS.get(text[-1:])
    try:
        if unit and number.isdecimal():
            return datetime.now(UTC) + direction * timedelta(**{unit: int(number)})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time; {fix}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", parser=past, metavar="TIME", help="As of 2026-03-01T09:30Z, 2026-03-01, or 3d or 2h ago."),
]
KnownAt = Annotated[
    datetime | None, typer.Option("--known-at", parser=past, metavar="TIME", help="As it was known then.")
]
