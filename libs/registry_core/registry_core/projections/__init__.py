"""Read models: tables folded from the sealed log, shown as SQL views, rebuilt at any time.

A projection is a pure `evolve` over one row per key. A chunk of events is one read of the rows it touches, a fold in
memory and one write of their last states, with the checkpoint in the same transaction. A new version, or a rebuild, is
a table of its own beside the one that is shown; the view is switched to it once it has caught up.
"""

from registry_core.projections.install import install
from registry_core.projections.model import Entry, Projection, Row, types_of
from registry_core.projections.projector import Builder, Projector
from registry_core.projections.waiting import stands_at, wait_projected

__all__ = ["Builder", "Entry", "Projection", "Projector", "Row", "install", "stands_at", "types_of", "wait_projected"]
