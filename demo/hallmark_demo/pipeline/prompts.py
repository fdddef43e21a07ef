"""The prompt template that questions are put into before they are embedded; two versions ship with the demo."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from hallmark_demo.pipeline.artifacts import LocalFile, local_file

NAME = "support-query"
VERSIONS = ("1.0.0", "1.1.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplate:
    """A version of the template. `ref` is its reference in the registry."""

    ref: str
    content: LocalFile

    def fill(self, question: str) -> str:
        """The text to embed. The question is inserted as it is and never read as a template."""
        return Template(self.content.path.read_text(encoding="utf-8")).substitute(question=question).strip()


def prompt_template(version: str) -> PromptTemplate:
    """One of `VERSIONS`. Raises ValueError that names them."""
    if version not in VERSIONS:
        raise ValueError(f"there is no {NAME} template {version!r}; choose one of {', '.join(VERSIONS)}")
    path = Path(str(files("hallmark_demo"))) / "data" / "prompts" / NAME / f"{version}.txt"
    return PromptTemplate(ref=f"prompt:{NAME}@{version}", content=local_file(path, "template.txt"))
