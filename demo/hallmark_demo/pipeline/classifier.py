"""The steps that make and measure the classifier, in the order a CI job runs them."""

from dataclasses import dataclass

from hallmark_demo.pipeline import evaluation, model_card, population, provenance, sbom, training
from hallmark_demo.pipeline.artifacts import LocalFile, digest_of
from hallmark_demo.pipeline.evidence import Candidate, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeClassifier:
    """The candidate, the dataset's two files, and the same model as joblib."""

    candidate: Candidate
    dataset_files: tuple[LocalFile, LocalFile]
    pickle: LocalFile


def make_classifier(job: Job, *, name: str, version: str, seed: int, regularisation: float) -> MadeClassifier:
    """Load, split, train, save; then measure the model as it reads back from its file."""
    started = job.clock()
    with job.step("data"):
        train, held_out = population.split(population.load_population())
        train_file = population.write_csv(train, job.folder / "train.csv")
        held_out_file = population.write_csv(held_out, job.folder / "held-out.csv")
    chosen = training.Hyperparameters(seed=seed, regularisation=regularisation)
    with job.step("training"):
        model = training.train(train, chosen)
        saved = training.save_skops(model, job.folder / "model.skops")
        pickle = training.save_joblib(model, job.folder / "model.joblib")
    with job.step("evaluation"):
        loaded = training.load_skops(saved.path)
        measured = evaluation.evaluate(loaded, held_out, model_file=saved, held_out_file=held_out_file)
    dataset = (train_file, held_out_file)
    candidate = Candidate(
        name=name,
        version=version,
        task="tabular-classification",
        files=(saved,),
        card=model_card.CLASSIFIER,
        measured=measured,
        depends_on={population.DATASET_REF: digest_of(dataset)},
        build=provenance.Build(
            build_type=provenance.TRAINING,
            parameters={"hyperparameters": chosen.as_dict(), "dataset": population.DATASET_REF},
            materials=_materials(train_file),
            started=started,
            finished=job.clock(),
        ),
    )
    return MadeClassifier(candidate=candidate, dataset_files=dataset, pickle=pickle)


def _materials(train_file: LocalFile) -> dict[str, str | None]:
    data: dict[str, str | None] = {f"{population.DATASET_REF}/{train_file.file.name}": train_file.file.digest}
    return data | sbom.purls("scikit-learn", "numpy", "skops")
