"""Hammers the log for as long as told, on a throw-away PostgreSQL, and checks it all the while.

Many writers (single and multi-stream appends, expected versions, retries, transactions with other writes before the
append, rollbacks), long transactions elsewhere, rival sealers, readers; meanwhile backends are ended, sealers killed
and the server stopped at once and started again. What writers were told is compared with what the log shows: dense
indexes, each stream in order, nothing acknowledged lost, nothing rolled back or refused visible, nothing twice, each
partition's chain whole, stored tree and proofs right, the projection folded exactly once.
"""

from registry_core.hammer.run import Options, Outcome, Status, hammer

__all__ = ["Options", "Outcome", "Status", "hammer"]
