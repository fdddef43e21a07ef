"""What a version was made of: its datasets count as dependencies, and none changes after registration."""

import random

import pytest
from hallmark_ingestion.domain import MOST_DEPENDENCIES, RegisterVersion, amend, register
from pydantic import ValidationError
from registry_core.handlers import fold
from registry_core.problems import Problem
from registry_core.store.memory import MemoryEventStore
from registry_core.values import DatasetPurpose, DatasetUse, Metadata, sha256_digest
from registry_core.version import Version
from support import record
from unit.ingestion.test_ingestion_handlers import flags, handle_all

REF, DIGEST, CLAIMS = "model:m@1.0.0", sha256_digest(b"x"), "dataset:claims@1.0.0"


def use(ref: str = CLAIMS, purpose: str = "training", since: str | None = None, until: str | None = None) -> DatasetUse:
    return DatasetUse.model_validate({"ref": ref, "purpose": purpose, "since": since, "until": until})


def command(ref: str = REF, *datasets: DatasetUse, depends_on: tuple[str, ...] = ()) -> RegisterVersion:
    return RegisterVersion(ref=ref, digest=DIGEST, metadata=Metadata(datasets=datasets, depends_on=depends_on))


async def version(*datasets: DatasetUse) -> Version:
    return fold(Version(), await record(MemoryEventStore(), REF, *register(Version(), command(REF, *datasets), "ci")))


async def test_a_newer_dataset_marks_the_model_trained_on_the_old_one_and_no_other() -> None:
    """The adapter on that model hears of it when the model is trained anew; lineage shows it before."""
    store = MemoryEventStore()
    adapter = command("adapter:tone@1.0.0", depends_on=(REF,))
    for made in (command(CLAIMS), command(REF, use()), adapter, command("dataset:claims@1.1.0")):
        await record(store, made.ref, *register(Version(), made, "ci"))
    await handle_all(store, random.Random(1))
    assert flags(store) == [(REF, "dataset:claims@1.1.0")]
    retrained = command("model:m@1.1.0", use("dataset:claims@1.1.0"))
    await record(store, retrained.ref, *register(Version(), retrained, "ci"))
    await handle_all(store, random.Random(1))
    assert flags(store) == [("adapter:tone@1.0.0", "model:m@1.1.0"), (REF, "dataset:claims@1.1.0")]


async def test_windows_may_be_corrected_and_datasets_not_exchanged() -> None:
    state = await version(use())
    window = use(since="2026-01-01T00:00:00Z", until="2026-02-01T00:00:00Z")
    (amended,) = amend(state, {"datasets": [window.model_dump()]})
    assert amended.metadata.datasets == (window,)  # type: ignore[attr-defined]
    for changed in ([], [window, use("dataset:other@1.0.0", "evaluation")]):
        with pytest.raises(Problem, match="part of what it is") as refused:
            amend(
                state, {"datasets": [item.model_dump() if isinstance(item, DatasetUse) else item for item in changed]}
            )
        assert refused.value.status == 422


def test_a_dataset_named_twice_is_one_dependency() -> None:
    twice = Metadata(depends_on=(CLAIMS,), datasets=(use(), use(purpose=DatasetPurpose.EVALUATION)))
    assert twice.dependencies == (CLAIMS,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ref": "model:m@1.0.0"},
        {"since": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
        {"since": "2026-02-01T00:00:00"},
        {"purpose": "decoration"},
    ],
)
def test_a_use_that_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        use(**wrong)


def test_a_version_cannot_be_made_of_itself_or_of_more_than_policies_read() -> None:
    many = tuple(f"dataset:d{n}@1.0.0" for n in range(MOST_DEPENDENCIES + 1))
    assert register(Version(), command(REF, depends_on=many[1:]), "ci")
    with pytest.raises(Problem, match="more versions than policies read"):
        register(Version(), command(REF, depends_on=many), "ci")
    with pytest.raises(Problem, match="itself"):
        register(Version(), command(CLAIMS, use(CLAIMS)), "ci")
