"""Which views there are: those in schema `views` that stand on the table of a projection, whatever service keeps it."""

from dataclasses import dataclass
from typing import Final

from registry_core.access import Reach
from registry_core.problems import Problem, forbidden, not_found
from registry_core.store.connections import Pool

_VIEWS: Final = """
    select v.relname as name,
           array(select a.attname::text from pg_attribute a where a.attrelid = v.oid and a.attnum > 0
                 and not a.attisdropped order by a.attnum) as columns,
           array(select format_type(a.atttypid, null) from pg_attribute a where a.attrelid = v.oid and a.attnum > 0
                 and not a.attisdropped order by a.attnum) as types
      from pg_class v
      join pg_rewrite r on r.ev_class = v.oid
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                      and d.refclassid = 'pg_class'::regclass and d.refobjid <> v.oid and d.refobjsubid = 1
      join pg_class t on t.oid = d.refobjid
      join work.projections p on p.name = t.relname and p.projection = v.relname
     where v.relnamespace = 'views'::regnamespace and v.relkind = 'v' and ($1::text is null or v.relname = $1)
     order by v.relname"""

FILTERABLE: Final = frozenset({"text", "integer", "bigint", "boolean"})
_ASSETS: Final = {"lineage": ("dependant", "depends_on"), "due": ("key",)}
"""Columns that name versions, where it is not `ref`."""
RESERVED: Final = frozenset({"limit", "after", "at_least", "timeout"})


@dataclass(frozen=True, slots=True)
class View:
    """A view as the database describes it."""

    name: str
    columns: dict[str, str]
    """SQL type by column, in order."""

    @property
    def about(self) -> tuple[str, ...]:
        """The columns that name the versions which a row is about; none where that cannot be told."""
        named = _ASSETS.get(self.name, ("ref",))
        return named if set(named) <= self.columns.keys() else ()

    @property
    def filterable(self) -> list[str]:
        return [name for name, sql_type in self.columns.items() if sql_type in FILTERABLE and name not in RESERVED]


async def list_views(pool: Pool, name: str | None = None) -> list[View]:
    """Every view that can be read, or the one of this name."""
    rows = await pool.fetch(_VIEWS, name)
    return [View(row["name"], dict(zip(row["columns"], row["types"], strict=True))) for row in rows]


async def find_view(pool: Pool, name: str) -> View:
    """Raises Problem 404."""
    found = await list_views(pool, name) if name.isascii() and name.isprintable() else []
    if not found:
        raise not_found(f"view {name!r}", "GET /v1/views lists the views there are")
    return found[0]


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on columns: SQL with parameters numbered from `first` on, and their values."""

    sql: str
    values: tuple[str | int | bool | list[str], ...]


def filter_of(view: View, wanted: list[tuple[str, str]], first: int) -> Filter:
    """Conditions of a query string, all of which must hold. Raises Problem 400 for what the view cannot be asked."""
    conditions, values = [], []
    for number, (column, text) in enumerate(wanted, first):
        conditions.append(f'and "{_known(view, column)}" = ${number}')
        values.append(_value(view, column, text))
    return Filter(" ".join(conditions), tuple(values))


def within(view: View, reach: Reach, matching: Filter, first: int) -> Filter:
    """The same, for rows about assets within reach alone. Raises Problem 403 where the view does not tell.

    `first` is the number of the condition's first parameter.
    """
    if reach.everywhere:
        return matching
    if not view.about:
        raise forbidden(
            f"{view.name} does not tell which asset a row is about",
            "ask for the role `viewer` everywhere",
            action="read",
        )
    number = first + len(matching.values)
    conditions = "".join(f' and "{column}" ^@ any(${number}::text[])' for column in view.about)
    return Filter(matching.sql + conditions, (*matching.values, list(reach.prefixes)))


def _known(view: View, column: str) -> str:
    if column not in view.filterable:
        raise Problem(
            400, "invalid", f"{view.name} cannot be filtered by {column!r}",
            fix=f"filter by one of: {', '.join(view.filterable)}", field=f"/{column}",
        )  # fmt: skip
    return column


def _value(view: View, column: str, text: str) -> str | int | bool:
    sql_type = view.columns[column]
    if sql_type == "boolean" and text in ("true", "false"):
        return text == "true"
    bound = 2**31 if sql_type == "integer" else 2**63
    if sql_type in ("integer", "bigint") and _is_integer(text) and -bound <= int(text) < bound:
        return int(text)
    if sql_type == "text" and "\x00" not in text:
        return text
    raise Problem(400, "invalid", f"{text!r} is not a {sql_type}", fix=f"send a {sql_type}", field=f"/{column}")


def _is_integer(text: str) -> bool:
    return len(text) < 20 and text.isascii() and text.removeprefix("-").isdigit()
