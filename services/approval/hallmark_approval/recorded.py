"""How an audit is recorded so that its event always fits the log: large facts by digest, long texts cut."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from registry_core.events.promotions import RuleResult
from registry_core.values import sha256_digest

from hallmark_approval.policy import Facts

MOST_FACTS: Final = 64 * 1024
"""Bytes of facts inside an event; larger ones are in the artifact store (claim check)."""
MOST_RESULTS: Final = 96 * 1024
"""Bytes of all rules' results together. With 64 KiB of facts, and evidence by digest, an event stays in its limit."""
_FRAME: Final = 250
"""Bytes of a result's names and fixed words."""
_TEXTS: Final = 5
_TIME_ALONE: Final = ("evaluated_at", "exceptions", "requested_by")


def document(facts: Facts) -> bytes:
    """The facts as JSON with sorted keys: what `facts_digest` is of."""
    return _json(facts.model_dump(mode="json", exclude_none=True))


def recorded_facts(facts: Facts) -> dict[str, Any]:
    """The fields of `PolicyEvaluated` that hold the facts. Exceptions stay: the decision itself names them."""
    whole, raw = facts.model_dump(mode="json", exclude_none=True), document(facts)
    if len(raw) <= MOST_FACTS:
        return {"facts": whole}
    return {
        "facts": {"exceptions": whole["exceptions"]},
        "facts_digest": sha256_digest(raw),
        "material_digest": material_digest(whole),
    }


def material(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without what passes by itself: the hour, and the state that the process itself moves."""
    kept = {name: value for name, value in facts.items() if name not in _TIME_ALONE}
    kept["version"] = {name: value for name, value in kept["version"].items() if name != "state"}
    kept["evaluations"] = [{**item, "age_days": 0} for item in kept.get("evaluations", ())]
    kept["vulnerabilities"] = [{**item, "excepted": False} for item in kept.get("vulnerabilities", ())]
    return kept


def material_digest(facts: Mapping[str, Any]) -> str:
    return sha256_digest(_json(material(facts)))


def recorded_results(results: Sequence[RuleResult]) -> tuple[RuleResult, ...]:
    """The results as they are, or with every text cut to its share where they take more than `MOST_RESULTS`."""
    if sum(len(_json(result.model_dump(mode="json"))) for result in results) <= MOST_RESULTS:
        return tuple(results)
    share = (MOST_RESULTS // len(results) - _FRAME) // _TEXTS
    return tuple(_shortened(result, share) for result in results)


def _shortened(result: RuleResult, share: int) -> RuleResult:
    texts = {name: _cut(getattr(result, name), share) for name in ("title", "detail", "owner", "fix")}
    return result.model_copy(update={**texts, "evidence": _first(result.evidence, share)})


def _first(evidence: Sequence[str], share: int) -> tuple[str, ...]:
    """As many entries as fit, and how many more there are."""
    shown: list[str] = []
    for item in evidence:
        if len(_json([*shown, item])) > share - 20:
            return (*shown, f"and {len(evidence) - len(shown)} more")
        shown.append(item)
    return tuple(shown)


def _cut(text: str, share: int) -> str:
    kept = text
    while len(_json(kept)) > share - 6:
        kept = kept[: len(kept) * 3 // 4]
    return text if len(kept) == len(text) else f"{kept} [cut]"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
