"""Model cards in Markdown (Mitchell et al. 2019), every number taken from the evaluation report's measurements."""

from collections.abc import Iterable
from dataclasses import dataclass

from hallmark_demo.pipeline.report import GroupMetrics, Measurements

MEDIA_TYPE = "text/markdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """What a person has to say about a model; the rest of its card is measured."""

    title: str
    licence: str
    description: str
    intended_use: str
    limitations: str


CLASSIFIER = CardText(
    title="Disease progression classifier",
    licence="Apache-2.0",
    description="Bagged logistic regression over ten clinical variables of 442 diabetes patients (Efron, Hastie, "
    "Johnstone, Tibshirani 2004). It predicts whether the disease progresses further in a year than the median "
    "patient's. In this demo it stands in for any model by which an organisation scores persons.",
    intended_use="Showing how a scoring model is governed. Not for decisions about patients or customers.",
    limitations="Few patients of one study: differences between groups of this size are uncertain. The recorded sex "
    "is coded 1 and 2 and the publication does not say which is which; it is among the inputs. "
    "The held-out rows were looked at while this kind of model was chosen, so their figures are a little optimistic.",
)
EMBEDDING = CardText(
    title="all-MiniLM-L6-v2",
    licence="Apache-2.0",
    description="The sentence encoder sentence-transformers/all-MiniLM-L6-v2: six transformer layers, 384 dimensions, "
    "texts of at most 256 tokens. Imported unchanged; the upstream's own card is README.md among its files.",
    intended_use="Finding the help passage that answers a customer's question, put into the named prompt template.",
    limitations="English. The retrieval set is small and written for this demo: it tells a broken model or template "
    "from a working one, not how good the model is at large.",
)


def model_card(text: CardText, *, ref: str, digest: str, measured: Measurements, ran_with: Iterable[str]) -> str:
    """The card of one version. `ran_with` are the references of the prompt or dataset it was measured with."""
    return "\n".join(
        (
            f"---\nlicense: {text.licence.lower()}\n---\n# {text.title}\n",
            f"Version `{ref}`, checksum `{digest}`.\n",
            f"{text.description}\n",
            f"## Intended use\n\n{text.intended_use}\n",
            f"## Limitations\n\n{text.limitations}\n",
            _evaluation(measured, ran_with),
            *([_groups(measured.groups)] if measured.groups else []),
        )
    )


def _evaluation(measured: Measurements, ran_with: Iterable[str]) -> str:
    data = measured.dataset
    rows = "\n".join(f"| {name} | {_number(value)} |" for name, value in measured.metrics.items())
    return (
        f"## Evaluation\n\nSuite `{measured.suite}` on `{data['name']}` (n = {data['n']}, `{data['digest']}`), "
        f"with {', '.join(f'`{ref}`' for ref in ran_with)}.\n\n| metric | value |\n| --- | ---: |\n{rows}\n"
    )


def _groups(groups: Iterable[GroupMetrics]) -> str:
    return "## Groups\n\n" + "\n".join(map(_group, groups)) + "\n"


def _group(measured: GroupMetrics) -> str:
    who = ", ".join(f"{name} {value}" for name, value in measured["group"].items())
    numbers = ", ".join(f"{name} {_number(value)}" for name, value in measured["metrics"].items())
    return f"- {who} (n = {measured['n']}): {numbers}"


def _number(value: float) -> str:
    """Counts whole, everything else with four digits after the point."""
    return f"{value:.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.4f}"
