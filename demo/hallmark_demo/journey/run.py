"""The journey's seven steps. Each does its part against the running services and checks what came of it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final

from hallmark.errors import HallmarkError
from registry_core.proofs.pack import verify_pack
from rich.console import Console

from hallmark_demo.journey.assets import CONTEXT, OTHER_CONTEXT, attach, register, register_model
from hallmark_demo.journey.events import emit_inferences, emit_registration
from hallmark_demo.journey.models import Models
from hallmark_demo.journey.outcome import Outcome
from hallmark_demo.journey.site import Site, Stage, set_stage
from hallmark_demo.journey.telling import Teller
from hallmark_demo.journey.waiting import PATIENCE, check, emitted, soon, until
from hallmark_demo.pipeline import advisories
from hallmark_demo.pipeline.build import BuiltModel
from hallmark_demo.pipeline.prompts import prompt_template
from hallmark_demo.pipeline.trojan import write_trojan

CUSTOMERS: Final = tuple(f"patient-{n:03d}" for n in range(1, 41))


class Journey:
    def __init__(self, stage: Stage, teller: Teller, models: Models) -> None:
        self.stage, self.teller, self.models = stage, teller, models
        self.outcome = Outcome()

    def run(self) -> Outcome:
        started = monotonic()
        classifier, embedding = self.train()
        self.register(classifier, embedding)
        self.be_refused(classifier, embedding)
        self.be_approved(classifier)
        self.serve(classifier)
        self.age(classifier)
        self.audit(classifier)
        self.outcome.seconds = monotonic() - started
        return self.outcome

    # 1
    def train(self) -> tuple[BuiltModel, BuiltModel]:
        self.teller.step("A pipeline trains, measures and documents two models")
        with self.teller.waiting("training a classifier with scikit-learn ..."):
            classifier = self.models.classifier("1.0.0")
        self.teller.table("Measured on held-out data", ("metric", "value"), _figures(classifier))
        with self.teller.waiting("measuring a 90 MB embedding model with its prompt ..."):
            embedding = self.models.embedding("1.0.0")
        self.teller.table("Embedding model with its prompt", ("metric", "value"), _figures(embedding))
        self.teller.good("each with SBOM (CycloneDX), SLSA provenance signed with Ed25519, evaluation and model card")
        return classifier, embedding

    def _folder(self, name: str) -> Path:
        return self.stage.folder / name

    # 2
    def register(self, classifier: BuiltModel, embedding: BuiltModel) -> None:
        self.teller.step("It registers drafts, uploads artifacts and evidence")
        prompt = prompt_template("1.0.0")
        self._register_by_event(prompt.ref, prompt.content)
        register(self.stage.ci, self.teller, prompt.ref, [prompt.content], self._folder("prompt-1.0.0"))
        (dataset,) = classifier.depends_on
        register(self.stage.ci, self.teller, dataset, classifier.dataset_files, self._folder("dataset"))
        register_model(self.stage.ci, self.teller, classifier, self._folder("register-classifier"))
        register_model(self.stage.ci, self.teller, embedding, self._folder("register-embedding"))
        self.teller.good(f"{prompt.ref} came by a CloudEvent on the Kafka topic mlops.events, the others by the SDK")

    def _register_by_event(self, ref: str, content: Any) -> None:
        command = {"ref": ref, "files": [content.file.model_dump(mode="json")], "metadata": {"owner": "dana"}}

        def known() -> bool:
            """Emitted again until it is there: a broker without a disk may lose what nobody has read yet."""
            emitted(emit_registration(self.stage.site.kafka_bootstrap, command))
            return soon(lambda: self._exists(ref), 10) is True

        until(known)

    def _exists(self, ref: str) -> bool:
        try:
            return bool(self.stage.ci.version(ref))
        except HallmarkError as error:
            if error.status != 404:
                raise
            return False

    # 3
    def be_refused(self, classifier: BuiltModel, embedding: BuiltModel) -> None:
        self.teller.step("What must not pass is refused, with the shortest fix")
        ci, admin = self.stage.ci, self.stage.admin
        hidden = write_trojan(self._folder("model.pkl"))
        trojan = self.models.classifier("0.9.0")
        register_model(ci, self.teller, trojan, self._folder("register-0.9.0"), files=[*trojan.files, hidden])
        self._expect_refusal("a pickle that would run a command", trojan.ref, "scan-clean")

        bare = self.models.classifier("0.9.1")
        register_model(ci, self.teller, bare, self._folder("register-0.9.1"), without=["sbom"])
        self._expect_refusal("a version without SBOM", bare.ref, "sbom-present")

        admin.publish_advisory(advisories.old_torch_advisory())
        old = self.models.classifier("0.9.2", extra_library=advisories.OLD_TORCH)
        register_model(ci, self.teller, old, self._folder("register-0.9.2"))
        until(lambda: ci.version(old.ref)["vulnerabilities"])
        self._expect_refusal("an open critical vulnerability", old.ref, "no-critical-vulnerability")

        newer = prompt_template("1.1.0")
        register(ci, self.teller, newer.ref, [newer.content], self._folder("prompt-1.1.0"))
        until(lambda: ci.version(embedding.ref)["changed_dependencies"])
        self._expect_refusal("a prompt changed after the evaluation", embedding.ref, "evaluations-fresh")
        again = self.models.embedding("1.1.0")
        attach(ci, again, without=["sbom", "provenance", "model_card"])
        self._tell_second_attempt(embedding.ref, newer.ref)

    def _tell_second_attempt(self, ref: str, prompt: str) -> None:
        """Measured with the new prompt, whatever the figures say."""
        found = self._promote(ref)
        if found["reasons"]:
            reason, *others = found["reasons"]
            self.teller.refused(f"evaluated anew with {prompt}: {ref}", reason, [item["rule"] for item in others])
        else:
            self.teller.good(f"evaluated anew with {prompt}, {ref} passes the audit and waits for review")

    def _promote(self, ref: str) -> dict[str, Any]:
        asked = self.stage.ci.request_promotion(ref, CONTEXT, environment="production")
        with self.teller.waiting(f"auditing {ref} ..."):
            found = self.stage.ci.wait_promotion(asked["promotion"], timeout=PATIENCE)
        return dict(found)

    def _expect_refusal(self, what: str, ref: str, rule: str) -> None:
        found = self._promote(ref)
        reasons = {reason["rule"]: reason for reason in found["reasons"]}
        self.outcome.refusals[what] = sorted(reasons)
        check(rule in reasons, f"{ref} was to be refused by {rule}, but: {found['status']} {sorted(reasons)}")
        self.teller.refused(f"{what}: {ref}", reasons.pop(rule), sorted(reasons))

    # 4
    def be_approved(self, classifier: BuiltModel) -> None:
        self.teller.step("Three reviewers approve, and the decision is signed")
        found = self._promote(classifier.ref)
        check(found["status"] == "in_review", f"{classifier.ref} is {found['status']}: {found['reasons']}")
        self.outcome.promotion = promotion = found["promotion"]
        self.teller.good(f"audit passed under policy {found['policy']}; {classifier.ref} is a candidate")
        self._own_approval_is_refused(promotion)
        for account, role in (("pat", "platform"), ("paula", "product"), ("sam", "security")):
            self._review(account, promotion, role)
            self.teller.good(f"{account} approves as {role}, signed with a key of their own")
        version = until(lambda: self._approved_and_deployed(classifier.ref))
        self.outcome.approved = classifier.ref
        deployed = version["deployments"][0]
        self.teller.good(f"draft → candidate → [bold]approved[/]; manifest written: {deployed['location']}")
        self._ask_admission(classifier.ref, CONTEXT, "approved context", expected=True)
        self._ask_admission(classifier.ref, OTHER_CONTEXT, "another context", expected=False)

    def _own_approval_is_refused(self, promotion: str) -> None:
        try:
            self._review("dana", promotion, "product")
        except HallmarkError as error:
            reason = {**error.document(), "title": "a person never approves what they had a hand in"}
            self.outcome.refusals["an approval by the person who registered it"] = [reason["rule"]]
            self.teller.refused("an approval by the person who registered it", reason)
            return
        check(False, "dana approved what she registered")

    def _review(self, account: str, promotion: str, role: str) -> None:
        """Answered before? Then the answer was lost, not the review."""
        client, comment = self.stage.clients[account], "looked at evidence, scan and evaluation"
        client.review(promotion, role, "approve", comment, key=self.stage.keys[account])

    def _approved_and_deployed(self, ref: str) -> dict[str, Any] | None:
        version = self.stage.ci.version(ref)
        return version if version["state"] == "approved" and version["deployments"] else None

    def _ask_admission(
        self, ref: str, context: dict[str, str], what: str, *, expected: bool, at: datetime | None = None,
        new_use: bool = True,
    ) -> None:  # fmt: skip
        answer = self.stage.ci.admission(ref, environment="production", at=at, new_use=new_use, **context)
        self.outcome.admissions[what] = answer["allowed"]
        check(answer["allowed"] is expected, f"admission for {what}: {answer}")
        shown = "[green]yes[/]" if answer["allowed"] else "[red]no[/]"
        why = f" — {answer['reasons'][0]['detail']}" if answer["reasons"] else ""
        self.teller.say(f"admission, {what}: {shown}{why}")

    # 5
    def serve(self, classifier: BuiltModel) -> None:
        self.teller.step("It serves, and we know whom")
        version = self.stage.ci.version(classifier.ref)
        annotations = {
            "hallmark.io/model-version": classifier.ref,
            "hallmark.io/digest": version["digest"],
            "hallmark.io/promotion": self.outcome.promotion,
        }
        at = datetime.now(UTC)

        def answered() -> dict[str, Any] | None:
            self._emit(annotations, at)
            return soon(lambda: self._served(CUSTOMERS[0], at), 10)

        self.outcome.served = served = until(answered)
        one = served["served"][0]
        self.teller.say(f"{len(CUSTOMERS)} requests on the Kafka topic serving.inference")
        self.teller.good(f"{CUSTOMERS[0]} was served at {at:%H:%M:%S} by [bold]{one['ref']}[/], then {one['state']}")

    def _emit(self, annotations: dict[str, str], at: datetime) -> None:
        bootstrap = self.stage.site.kafka_bootstrap
        emitted(emit_inferences(bootstrap, annotations, CUSTOMERS, at, "progression-classifier"))

    def _served(self, customer: str, at: datetime) -> dict[str, Any] | None:
        found = self.stage.clients["amy"].served(customer, at)
        return dict(found) if found["served"] else None

    # 6
    def age(self, classifier: BuiltModel) -> None:
        self.teller.step("A new advisory, expiry, deprecation, retirement")
        ref, mia = classifier.ref, self.stage.clients["mia"]
        advisory = advisories.advisory_for_installed("joblib", now=datetime.now(UTC))
        self.stage.admin.publish_advisory(advisory)
        clocks = until(lambda: self.stage.ci.version(ref)["clocks"])
        self.outcome.clocks = len(clocks)
        owner, due = clocks[0]["owner"], clocks[0]["due"][:16]
        self.teller.good(f"{advisory['id']} hits {ref}: a remediation clock runs for {owner} until {due}")
        self._ask_admission(ref, CONTEXT, "what serves keeps serving", expected=True, new_use=False)
        self._expect_refusal("promotion with the new advisory", ref, "no-critical-vulnerability")

        later = datetime.now(UTC) + timedelta(days=91)
        mia.sweep(later)
        self.teller.say(f"the scheduler's clock is moved on to {later:%Y-%m-%d}: the approval has expired")
        self._ask_admission(ref, CONTEXT, "after expiry", expected=False, at=later)

        replacement = self.models.classifier("1.1.0", seed=1)
        register_model(self.stage.ci, self.teller, replacement, self._folder("register-1.1.0"))
        self._transition(lambda: mia.deprecate(ref, "a better model is ready", replacement.ref), ref, "deprecated")
        self.teller.good(f"deprecated; its replacement is {replacement.ref}")
        self._transition(lambda: mia.retire(ref, "replaced"), ref, "retired")
        self.teller.good("retired")
        self._ask_admission(ref, CONTEXT, "after retirement", expected=False, new_use=False)

    def _transition(self, change: Callable[[], object], ref: str, state: str) -> None:
        change()
        until(lambda: self.stage.ci.version(ref)["state"] == state)

    # 7
    def audit(self, classifier: BuiltModel) -> None:
        self.teller.step("The auditor asks, and proves the answers offline")
        amy, path = self.stage.clients["amy"], self.stage.folder / "evidence.hallmark"
        self.outcome.audit = answer = amy.audit(classifier.ref)
        self._tell_audit(answer)
        self.outcome.pack = amy.evidence_pack(classifier.ref, path)
        key = amy.log_key()["vkey"]
        path.with_name("log.key").write_text(key)
        with path.open("rb") as pack:
            self.outcome.verified = report = verify_pack(pack, [key])
        check(report.ok, f"the pack does not verify: {report.problems[:3]}")
        held = f"{report.events} events with proofs, {report.blobs} documents, {report.decisions} decision"
        self.teller.good(f"{path.name}: {held} — verified offline")
        self._flip_a_byte(path)

    def _tell_audit(self, answer: dict[str, Any]) -> None:
        reviews = [
            (r["role"], r["reviewer"], r.get("outcome", "refused"), r["at"][:19], r["log_index"])
            for r in answer["reviews"]
        ]
        self.teller.table("Who approved, and when", ("role", "who", "outcome", "at", "log index"), reviews)
        names = sorted({check["event"].split(".")[-2] for check in answer["checks"]})
        self.teller.say(f"checks that ran: {', '.join(names)}")
        self.teller.say(f"exceptions that held: {len(answer['exceptions']) or 'none'}")
        served = [(s["deployment"], s["requests"], s["customers"], s["state"]) for s in answer["served"]]
        self.teller.table("What served whom", ("deployment", "requests", "customers", "state then"), served)

    def _flip_a_byte(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x01
        damaged = path.with_name("tampered.hallmark")
        damaged.write_bytes(content)
        with damaged.open("rb") as pack:
            self.outcome.tampered = report = verify_pack(pack)
        check(not report.ok, "a flipped byte went unnoticed")
        first = report.problems[0]
        self.teller.say(f"one byte flipped: [red]fails[/] at line {first.line}, {first.what}: {first.message}")


def run_journey(site: Site, folder: Path, console: Console, models: Models | None = None) -> Outcome:
    """Walk the whole journey. Raises JourneyError where something is not as it must be.

    `models`: built before with the key `ci.pem` of `folder`; by default they are built here.
    """
    stage = set_stage(site, folder)
    return Journey(stage, Teller(console), models or Models(folder, stage.keys["ci"])).run()


def _figures(model: BuiltModel) -> Sequence[tuple[str, str]]:
    return [(name.replace("_", " "), f"{value:,.4g}") for name, value in model.metrics.items()][:8]
