"""The whole CI job, for both models."""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_demo.pipeline.advisories import OLD_TORCH
from hallmark_demo.pipeline.artifacts import digest_of
from hallmark_demo.pipeline.build import BuiltModel, build_classifier, build_embedding
from registry_core.proofs import dsse

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> BuiltModel:
    return build_classifier(tmp_path_factory.mktemp("classifier"), key=KEY, clock=lambda: NOW, extra_library=OLD_TORCH)


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> BuiltModel:
    return build_embedding(tmp_path_factory.mktemp("embedding"), key=KEY, clock=lambda: NOW)


@pytest.fixture(params=["classifier", "embedding"])
def built(request: pytest.FixtureRequest) -> BuiltModel:
    model: BuiltModel = request.getfixturevalue(request.param)
    return model


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def statement(built: BuiltModel) -> Any:
    return json.loads(base64.b64decode(read(built.evidence.provenance)["payload"]))


def test_every_document_speaks_of_the_same_checksum(built: BuiltModel) -> None:
    assert built.digest == digest_of(built.files)
    assert read(built.evidence.evaluation)["subject"]["digest"] == built.digest
    described = read(built.evidence.sbom)["metadata"]["component"]
    assert f"sha256:{described['hashes'][0]['content']}" == built.digest
    assert built.digest in built.evidence.model_card.read_text()


def test_provenance_names_every_file_by_its_digest(built: BuiltModel) -> None:
    subjects = {s["name"]: f"sha256:{s['digest']['sha256']}" for s in statement(built)["subject"]}
    assert subjects == {f.file.name: f.file.digest for f in built.files}


def test_provenance_is_signed_by_the_job(built: BuiltModel) -> None:
    envelope = read(built.evidence.provenance)
    assert dsse.verify(envelope, dsse.IN_TOTO, {"ci": KEY.public_key()}).key_ids == ("ci",)
    another = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(dsse.DsseError):
        dsse.verify(envelope, dsse.IN_TOTO, {"ci": another})


def test_the_evaluation_ran_with_what_it_names(built: BuiltModel) -> None:
    assert read(built.evidence.evaluation)["dependencies"] == dict(built.depends_on)


def test_the_classifiers_dataset_is_the_one_it_depends_on(classifier: BuiltModel) -> None:
    assert list(classifier.depends_on.values()) == [digest_of(classifier.dataset_files)]
    assert read(classifier.evidence.evaluation)["dataset"]["digest"] == classifier.dataset_files[1].file.digest


def test_the_classifier_is_better_than_chance_and_every_group_is_counted(classifier: BuiltModel) -> None:
    report = read(classifier.evidence.evaluation)
    assert report["metrics"]["roc_auc"] > 0.75
    assert sum(group["n"] for group in report["groups"]) == report["dataset"]["n"]
    assert 0 < report["metrics"]["latency_p50_ms"] <= report["metrics"]["latency_p99_ms"]


def test_the_extra_library_is_in_that_versions_sbom_only(classifier: BuiltModel, embedding: BuiltModel) -> None:
    def names(built: BuiltModel) -> set[str]:
        return {c["purl"] for c in read(built.evidence.sbom)["components"]}

    assert names(classifier) - names(embedding) == {OLD_TORCH.purl}


def test_a_changed_prompt_changes_what_the_embedding_is_evaluated_with(embedding: BuiltModel, tmp_path: Path) -> None:
    changed = build_embedding(tmp_path, key=KEY, prompt_version="1.1.0", clock=lambda: NOW)
    assert changed.digest == embedding.digest
    assert not set(changed.depends_on.values()) & set(embedding.depends_on.values())
    assert changed.metrics["mean_reciprocal_rank"] != embedding.metrics["mean_reciprocal_rank"]


def test_offering_the_builds_does_not_load_scikit_learn() -> None:
    code = "import sys, hallmark_demo.pipeline.build; sys.exit('sklearn' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
