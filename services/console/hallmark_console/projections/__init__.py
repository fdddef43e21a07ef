"""The console's read models, each a pure fold of the log; docs/views.md is their contract."""

from hallmark_console.projections.accounts import ACCOUNTS
from hallmark_console.projections.external_drift import EXTERNAL_DRIFT
from hallmark_console.projections.findings import FINDINGS
from hallmark_console.projections.lineage import LINEAGE
from hallmark_console.projections.review_queue import REVIEW_QUEUE
from hallmark_console.projections.version_overview import VERSION_OVERVIEW
from hallmark_console.projections.version_timeline import VERSION_TIMELINE

PROJECTIONS = (VERSION_OVERVIEW, VERSION_TIMELINE, REVIEW_QUEUE, FINDINGS, LINEAGE, EXTERNAL_DRIFT, ACCOUNTS)

__all__ = [
    "ACCOUNTS",
    "EXTERNAL_DRIFT",
    "FINDINGS",
    "LINEAGE",
    "PROJECTIONS",
    "REVIEW_QUEUE",
    "VERSION_OVERVIEW",
    "VERSION_TIMELINE",
]
