"""Policy as code: packs of CEL rules over closed facts."""

from registry_core.proofs.decision import GrantedException

from hallmark_approval.policy.evaluation import Evaluation, blocks, evaluate
from hallmark_approval.policy.facts import Facts, missing_fields
from hallmark_approval.policy.pack import Pack, PackError, Problem, baseline_pack, load_pack

__all__ = [
    "Evaluation",
    "Facts",
    "GrantedException",
    "Pack",
    "PackError",
    "Problem",
    "baseline_pack",
    "blocks",
    "evaluate",
    "load_pack",
    "missing_fields",
]
