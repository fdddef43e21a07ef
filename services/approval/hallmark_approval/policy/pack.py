"""A policy pack: YAML in, checked rules out, or every problem at once with its place and its mending."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator
from registry_core.events.promotions import RuleResult
from registry_core.values import Kind, Name, RiskTier, SemVer, Text, Value, sha256_digest

from hallmark_approval.policy.cel import CompileError, Environment, Program, Returns, Threshold
from hallmark_approval.policy.templates import Template, compile_template

MAX_BYTES = 256 * 1024
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Source = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Roles = Annotated[tuple[Slug, ...], Field(min_length=1)]
_PATH = re.compile(r"[a-z_]+(\.[a-z_]+)*")
_EXCEPTED = re.compile(r"\bexcepted\b|\bexceptions\b")


class RuleDocument(Value):
    """One rule as written. `require` must hold where `applies_to` and `when` say so."""

    id: Slug
    title: Text
    mode: Literal["observe", "warn", "enforce"]
    applies_to: Annotated[tuple[Kind, ...], Field(min_length=1)] = tuple(Kind)
    when: Source | None = None
    require: Source
    findings: Source | None = None
    """CEL list of strings: the ids of what is wrong, which an exception may name one by one."""
    detail: Source
    evidence: Annotated[tuple[Source, ...], Field(min_length=1)]
    """CEL: a fact path is shown as `path = value`, a list of strings as its entries."""
    owner: Source
    fix: Source


class PackDocument(Value):
    """A pack as written."""

    name: Name
    version: SemVer
    title: Text
    description: Text
    thresholds: dict[Identifier, Threshold] = Field(default_factory=dict)
    review_roles: dict[RiskTier, Roles]
    approval_valid_days: Annotated[int, Field(ge=1, le=3650)] = 90
    rules: Annotated[tuple[RuleDocument, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _complete_and_unique(self) -> "PackDocument":
        if absent := [tier.value for tier in RiskTier if tier not in self.review_roles]:
            raise ValueError(f"review_roles lacks {', '.join(absent)}: name at least one role for every risk tier")
        ids = [rule.id for rule in self.rules]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"rule id used twice: {', '.join(twice)}; give each rule its own id")
        return self


@dataclass(frozen=True, slots=True)
class Evidence:
    source: str
    is_path: bool
    program: Program


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to run."""

    document: RuleDocument
    when: Program | None
    require: Program
    findings: Program | None
    detail: Template
    evidence: tuple[Evidence, ...]
    owner: Template
    fix: Template

    def result(self, outcome: Literal["pass", "fail", "excepted", "error"], **told: Any) -> RuleResult:
        d = self.document
        return RuleResult(rule=d.id, title=d.title, mode=d.mode, outcome=outcome, **told)


@dataclass(frozen=True, slots=True)
class Pack:
    """A loaded pack; `digest` is the SHA-256 of its bytes."""

    document: PackDocument
    digest: str
    environment: Environment
    rules: tuple[Rule, ...]

    @property
    def label(self) -> str:
        return f"{self.document.name}@{self.document.version}"


class Problem(NamedTuple):
    """`rule` is None for the pack itself."""

    rule: str | None
    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        place = f"rule {self.rule}, {self.field}" if self.rule else self.field
        return f"{place}: {self.message} — {self.fix}"


class PackError(ValueError):
    """A pack that cannot be used, with every problem found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class _Loader(yaml.SafeLoader):
    """Plain data only: no anchors (they can multiply without bound) and no key twice (the first would be lost)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML leaves it untyped
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not used here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _parse(raw: bytes) -> Any:
    if len(raw) > MAX_BYTES:
        raise PackError((Problem(None, "pack", f"{len(raw)} bytes; at most {MAX_BYTES}", "split the pack"),))
    try:
        return yaml.load(raw, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeError, RecursionError, ValueError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise PackError((Problem(None, "YAML", message, "correct the YAML at that place"),)) from error


def _document(data: Any) -> PackDocument:
    try:
        return PackDocument.model_validate(data)
    except ValidationError as error:
        raise PackError(tuple(_schema_problem(data, e["loc"], e["msg"]) for e in error.errors())) from error


def _schema_problem(data: Any, loc: tuple[int | str, ...], message: str) -> Problem:
    field = ".".join(map(str, loc)) or "pack"
    rule = None
    if len(loc) >= 2 and loc[0] == "rules" and isinstance(loc[1], int):
        written = data["rules"][loc[1]]
        rule = str(written.get("id", f"#{loc[1] + 1}")) if isinstance(written, Mapping) else f"#{loc[1] + 1}"
        field = ".".join(map(str, loc[2:])) or "rule"
    return Problem(rule, field, message.removeprefix("Value error, "), "correct this field")


class _Compiler:
    """Compiles one rule's fields and collects what is wrong instead of stopping at the first."""

    def __init__(self, environment: Environment, rule: RuleDocument, problems: list[Problem]) -> None:
        self.environment, self.rule, self.problems = environment, rule, problems

    def _note(self, field: str, error: CompileError) -> None:
        self.problems.append(Problem(self.rule.id, field, str(error), "correct the expression"))

    def program(self, field: str, source: str, returns: Returns) -> Program:
        try:
            return self.environment.compile(source, returns)
        except CompileError as error:
            self._note(field, error)
            return Program(source, None)

    def deciding(self, field: str, source: str, returns: Returns) -> Program:
        """As `program`, for a field that decides: exceptions must stay visible as outcome `excepted`."""
        if _EXCEPTED.search(source):
            self._note(field, CompileError("looks at exceptions; they are applied after the rule, never silently"))
        return self.program(field, source, returns)

    def optional(self, field: str, source: str | None, returns: Returns) -> Program | None:
        return None if source is None else self.deciding(field, source, returns)

    def template(self, field: str, text: str) -> Template:
        try:
            return compile_template(self.environment, text)
        except CompileError as error:
            self._note(field, error)
            return Template(())

    def evidence(self) -> Iterator[Evidence]:
        for number, source in enumerate(self.rule.evidence, start=1):
            program = self.program(f"evidence {number}", source, Returns.TEXT)
            yield Evidence(source, _PATH.fullmatch(source) is not None, program)

    def compile(self) -> Rule:
        written = self.rule
        return Rule(
            document=written,
            when=self.optional("when", written.when, Returns.TRUTH),
            require=self.deciding("require", written.require, Returns.TRUTH),
            findings=self.optional("findings", written.findings, Returns.NAMES),
            detail=self.template("detail", written.detail),
            evidence=tuple(self.evidence()),
            owner=self.template("owner", written.owner),
            fix=self.template("fix", written.fix),
        )


def load_pack(raw: bytes) -> Pack:
    """Parse, check and compile a pack. Raises `PackError` with every problem."""
    document = _document(_parse(raw))
    environment = Environment(document.thresholds)
    problems: list[Problem] = []
    rules = tuple(_Compiler(environment, rule, problems).compile() for rule in document.rules)
    if problems:
        raise PackError(tuple(problems))
    return Pack(document=document, digest=sha256_digest(raw), environment=environment, rules=rules)


def baseline_pack() -> bytes:
    """The bytes of the pack that a new installation activates."""
    return resources.files(__package__).joinpath("packs/baseline.yaml").read_bytes()
