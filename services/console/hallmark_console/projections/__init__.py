"""The console's read models, each a pure fold of the log; docs/views.md is their contract."""

from typing import Final

from hallmark_console.projections.findings import FINDINGS
from hallmark_console.projections.review_queue import REVIEW_QUEUE
from hallmark_console.projections.version_overview import VERSION_OVERVIEW
from hallmark_console.projections.version_timeline import VERSION_TIMELINE

PROJECTIONS = (VERSION_OVERVIEW, VERSION_TIMELINE, REVIEW_QUEUE, FINDINGS)

DDL: Final = f"""
    create index if not exists {VERSION_TIMELINE.table}_by_ref on projection.{VERSION_TIMELINE.table} (ref, log_index);
    create index if not exists {REVIEW_QUEUE.table}_by_ref on projection.{REVIEW_QUEUE.table} (ref);
    create index if not exists {FINDINGS.table}_by_ref on projection.{FINDINGS.table} (ref);"""
"""A version's page asks for its rows alone."""

__all__ = ["DDL", "FINDINGS", "PROJECTIONS", "REVIEW_QUEUE", "VERSION_OVERVIEW", "VERSION_TIMELINE"]
