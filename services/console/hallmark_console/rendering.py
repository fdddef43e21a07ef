"""Pages from templates. Everything is escaped; times are shown relative to the platform's clock."""

import json
import shlex
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response
from registry_core.http.caller import Caller

from hallmark_console.assets import ASSETS

_UNITS: Final = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))
_PRIVATE: Final = {"cache-control": "no-store"}


def page(template: str, *, status_code: int = 200, **context: Any) -> Response[str]:
    """A rendered template."""
    text = ENVIRONMENT.get_template(template).render(**context)
    return Response(text, media_type=MediaType.HTML, status_code=status_code, headers=_PRIVATE)


def who(caller: Caller) -> dict[str, Any]:
    """Of the top of each page: whose it is, and whether it links to what is for administrators."""
    return {"account": caller.name, "administers": caller.account.may("sources")}


def moment(value: str | datetime) -> datetime | None:
    """An ISO 8601 text or a datetime, in UTC; None for a time that Python cannot represent."""
    try:
        parsed = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def exact(value: str | datetime) -> str:
    """`2026-03-01 12:00:00 UTC`."""
    at = moment(value)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else str(value)


def relative(value: str | datetime, now: datetime) -> str:
    """`3 days ago`, `in 2 hours`, `just now`. The script in static/console.js says it in the same words."""
    at = moment(value)
    if at is None:
        return str(value)
    seconds = (at - now).total_seconds()
    for unit, length in _UNITS:
        count = int(abs(seconds) // length)
        if count:
            text = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {text}" if seconds > 0 else f"{text} ago"
    return "in a moment" if seconds > 0 else "just now"


def iso(value: str | datetime) -> str:
    """For the `datetime` attribute."""
    at = moment(value)
    return at.isoformat() if at else ""


def short_digest(digest: str) -> str:
    """`sha256:1f3a5c7e9b02…`: enough to recognise it by; the title has all of it."""
    algorithm, _, value = digest.partition(":")
    return f"{algorithm}:{value[:12]}…" if len(value) > 12 else digest


def version_path(ref: str) -> str:
    """Where a version's page is."""
    return f"/versions/{quote(ref, safe=':@')}"


def size(count: int | None) -> str:
    """Bytes for people: `90.9 MB`."""
    if count is None:
        return "size unknown"
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def pretty(value: Any) -> str:
    """JSON for reading."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def shell(text: str) -> str:
    """As one word of a command line, whatever is in it."""
    return shlex.quote(text)


def sentence(text: str) -> str:
    """With a capital at its beginning and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hallmark_console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    filters = (exact, relative, iso, short_digest, version_path, size, pretty, shell, sentence)
    environment.filters.update({function.__name__: function for function in filters})
    environment.globals["asset"] = lambda name: ASSETS[name].path
    return environment


ENVIRONMENT: Final = _environment()
