"""Proof and reading of each kind of source: pure functions, held against vectors and hostile input."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hallmark_ingestion.sources.receivers import RECEIVERS, github, mlflow
from hallmark_ingestion.sources.receivers import wandb as wandb_receiver
from hallmark_ingestion.sources.receivers.base import (
    Change,
    Hint,
    Inference,
    Nothing,
    Release,
    StaleError,
    UnprovenError,
    UnreadableError,
    check_fresh,
)
from hypothesis import given
from hypothesis import strategies as st
from support_sources import (
    KINDS,
    SECRET,
    Sent,
    huggingface,
    kserve,
    release,
    sagemaker,
    sent_by,
    wandb,
    workflow_run,
)
from support_sources import github as by_github
from support_sources import mlflow as by_mlflow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROOFS = {
    "mlflow": "x-mlflow-signature", "huggingface": "x-webhook-secret", "wandb": "x-wandb-signature",
    "sagemaker": "x-hallmark-secret", "github": "x-hub-signature-256", "kserve": "authorization",
}  # fmt: skip
SIGNED = ("mlflow", "wandb", "github")
"""Kinds whose proof covers the body."""


def verify(kind: str, sent: Sent, *secrets: str) -> Any:
    return RECEIVERS[kind].verify(sent.headers, sent.body, secrets or (SECRET,), NOW)


def meaning(kind: str, sent: Sent) -> Any:
    return RECEIVERS[kind].interpret(sent.headers, sent.body)


def test_github_s_documented_vector_is_proven() -> None:
    """docs.github.com, "Validating webhook deliveries", testing the webhook payload validation."""
    expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": f"sha256={expected}", "x-github-delivery": "72d3162e"}
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    again = {**headers, "x-github-delivery": "another"}
    assert github.verify(headers, body, (secret,), NOW) == github.verify(again, body, (secret,), NOW)
    with pytest.raises(UnprovenError):
        github.verify(headers, body + b"!", (secret,), NOW)


def test_mlflow_signs_delivery_id_time_and_body_in_base64() -> None:
    """HMAC-SHA256("secret", "id.1.{}") as OpenSSL gives it: printf 'id.1.{}' | openssl dgst -sha256 -hmac secret."""
    assert mlflow.signature(b"secret", "id", "1", b"{}") == b"v1,490pAcC1LQ1k1cOcmH0da199+A88OKCj0Io4WnJlp68="


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_source_sent_is_proven(kind: str) -> None:
    assert verify(kind, sent_by(kind)).key


@pytest.mark.parametrize("kind", KINDS)
def test_the_former_secret_proves_as_long_as_it_is_valid(kind: str) -> None:
    old = sent_by(kind, secret="an-older-secret-of-the-source")
    assert verify(kind, old, SECRET, "an-older-secret-of-the-source").key
    with pytest.raises(UnprovenError):
        verify(kind, old, SECRET)


@pytest.mark.parametrize("kind", KINDS)
def test_no_proof_is_no_proof(kind: str) -> None:
    with pytest.raises(UnprovenError, match=PROOFS[kind] if kind != "wandb" else "authorization"):
        verify(kind, sent_by(kind).but(**{PROOFS[kind]: None}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["short", "long", "case", "empty", "foreign", "unicode", "surrogate"])
def test_a_proof_that_is_off_by_anything_proves_nothing(kind: str, change: str) -> None:
    proof = sent_by(kind).headers[PROOFS[kind]]
    changed = {
        "short": proof[:-1], "long": proof + "A", "case": proof.swapcase(), "empty": " ", "foreign": "x" * len(proof),
        "unicode": "é" + proof, "surrogate": "\udc80" + proof,
    }[change]  # fmt: skip
    with pytest.raises(UnprovenError):
        verify(kind, sent_by(kind).but(**{PROOFS[kind]: changed}))


@pytest.mark.parametrize("kind", SIGNED)
def test_one_byte_more_in_the_body_is_another_body(kind: str) -> None:
    sent = sent_by(kind)
    with pytest.raises(UnprovenError):
        verify(kind, replace(sent, body=sent.body + b" "))


@pytest.mark.parametrize("header", ["x_mlflow_delivery_id", "x_mlflow_timestamp"])
def test_mlflow_s_signature_covers_id_and_time(header: str) -> None:
    with pytest.raises(UnprovenError):
        verify("mlflow", by_mlflow().but(**{header: "1"}))


def test_mlflow_s_obsolete_hexadecimal_form_is_not_taken() -> None:
    sent = by_mlflow()
    plain = mlflow.signature(SECRET.encode(), "", "", sent.body).hex()
    with pytest.raises(UnprovenError):
        verify("mlflow", sent.but(x_mlflow_signature=f"sha256={plain}"))


def test_a_delivery_from_before_the_window_is_stale_and_its_retry_within_is_not() -> None:
    window = RECEIVERS["mlflow"].window
    assert window
    for age, stale in ((timedelta(), False), (window, False), (window + timedelta(seconds=1), True)):
        proven = verify("mlflow", by_mlflow(at=NOW - age))
        if stale:
            with pytest.raises(StaleError, match="ago"):
                check_fresh(proven, window, NOW)
        else:
            check_fresh(proven, window, NOW)


def test_a_delivery_from_the_future_is_refused_beyond_what_clocks_may_differ() -> None:
    check_fresh(verify("sagemaker", sagemaker(at=NOW + timedelta(minutes=4))), timedelta(hours=1), NOW)
    with pytest.raises(StaleError, match="ahead"):
        check_fresh(verify("sagemaker", sagemaker(at=NOW + timedelta(minutes=6))), timedelta(hours=1), NOW)


def test_eventbridge_may_try_for_a_day() -> None:
    proven = verify("sagemaker", sagemaker(at=NOW - timedelta(hours=24)))
    check_fresh(proven, RECEIVERS["sagemaker"].window, NOW)


@pytest.mark.parametrize("form", ["hex", "sha256="])
def test_wandb_s_signature_may_be_hexadecimal(form: str) -> None:
    sent = wandb()
    base64_form, hex_form, prefixed = wandb_receiver.signature(SECRET.encode(), sent.body)
    given_form = (hex_form if form == "hex" else prefixed).decode()
    assert base64_form.decode() == sent.headers["x-wandb-signature"]
    assert verify("wandb", sent.but(x_wandb_signature=given_form)).key


def test_wandb_s_bearer_proves_alone_but_not_against_a_wrong_signature() -> None:
    bearer = wandb().but(authorization=f"Bearer {SECRET}")
    assert verify("wandb", bearer.but(x_wandb_signature=None)).key
    with pytest.raises(UnprovenError):
        verify("wandb", bearer.but(x_wandb_signature="wrong"))


def test_the_same_body_of_wandb_is_one_delivery_for_a_while_and_another_later() -> None:
    sent, keys = wandb(), []
    for minutes in (0, 9, 11):
        at = NOW + timedelta(minutes=minutes)
        keys.append(RECEIVERS["wandb"].verify(sent.headers, sent.body, (SECRET,), at).key)
    assert (keys[0] == keys[1], keys[0] == keys[2]) == (True, False)


def test_hugging_face_is_known_again_by_repository_and_shas() -> None:
    one, again, later = huggingface(private=True), huggingface(private=False), huggingface(new_sha="c" * 40)
    keys = [verify("huggingface", sent).key for sent in (one, again, later)]
    assert keys[0] == keys[1] != keys[2]


def test_request_and_response_of_kserve_are_two() -> None:
    one = kserve(id="1")
    other = kserve(id="1", type="org.kubeflow.serving.inference.response")
    assert verify("kserve", one).key != verify("kserve", other).key


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (by_mlflow({"name": "credit", "version": "3"}), Hint("credit", ["version 3"])),
        (by_mlflow(event="prompt.created"), Nothing("prompt.created concerns no registered model")),
    ],
)
def test_mlflow_hints_at_registered_models(sent: Sent, expected: Any) -> None:
    assert meaning("mlflow", sent) == expected


def test_hugging_face_hints_at_models() -> None:
    assert meaning("huggingface", huggingface()) == Hint("acme/bert", ["head", "tags", "licence"])
    assert isinstance(meaning("huggingface", huggingface(type="dataset")), Nothing)
    assert isinstance(meaning("huggingface", huggingface(scope="discussion")), Nothing)
    assert isinstance(meaning("huggingface", huggingface(type="space")), Nothing)


def test_wandb_tells_who_has_the_alias_now() -> None:
    found = meaning("wandb", wandb())
    assert found == Change("acme/model-registry/Credit", {"alias champion": "acme/model-registry/Credit:v3"})
    linked = meaning("wandb", wandb(event_type="LINK_ARTIFACT", alias=""))
    assert linked.after == {"linked": "acme/model-registry/Credit:v3"}


def test_a_template_of_wandb_that_was_sent_unfilled_says_which_part() -> None:
    with pytest.raises(UnreadableError, match=r"\$\{alias\}"):
        meaning("wandb", wandb(alias="${alias}"))


def test_the_template_to_paste_is_what_is_read() -> None:
    names = set(json.loads(wandb_receiver.TEMPLATE))
    assert {"event_type", "alias", "artifact_version_string", "entity_name"} <= names
    assert names == set(json.loads(wandb().body))


def test_sagemaker_tells_state_and_content_of_a_package() -> None:
    found = meaning("sagemaker", sagemaker("Rejected"))
    assert (found.thing, found.after["approval of version 2"]) == ("credit", "Rejected")
    content = {"image_digest": "sha256:4d8b", "model_data_url": "s3://bucket/model.tar.gz"}
    assert found.after["version 2"]["containers"] == [content]


def test_a_published_release_is_a_version_of_its_assets() -> None:
    found = meaning("github", release())
    assert isinstance(found, Release)
    assert found.data["ref"] == "code:widget@1.2.3"
    assert [file["name"] for file in found.data["files"]] == ["widget.whl"]
    assert found.data["metadata"] == {"source_repository": "https://github.com/acme/widget", "source_commit": "c" * 40}


def test_the_commit_of_a_release_is_not_guessed_from_a_branch() -> None:
    assert "source_commit" not in meaning("github", release(target_commitish="main")).data["metadata"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tag": "nightly"}, "no semantic version"),
        ({"assets": []}, "no assets"),
        ({"draft": True}, "publishes nothing"),
    ],
)
def test_a_release_that_names_no_content_registers_nothing(changes: dict[str, Any], why: str) -> None:
    found = meaning("github", release(**changes))
    assert isinstance(found, Nothing)
    assert why in found.why


def test_an_asset_without_digest_is_not_registered_in_part() -> None:
    with pytest.raises(UnreadableError, match=r"no SHA-256 of old\.bin"):
        meaning("github", release(assets=[{"name": "old.bin", "size": 1, "digest": None}]))


def test_a_completed_workflow_run_is_a_change_of_its_branch() -> None:
    found = meaning("github", workflow_run("failure"))
    assert isinstance(found, Change)
    assert found.after["workflow train on main"]["conclusion"] == "failure"
    assert found.at == NOW
    assert isinstance(meaning("github", by_github("ping", {"zen": "Keep it logically awesome."})), Nothing)


def test_kserve_s_event_is_a_request_of_its_deployment() -> None:
    assert meaning("kserve", kserve()) == Inference("credit")
    with pytest.raises(UnreadableError, match="specversion"):
        meaning("kserve", kserve().but(ce_specversion=None))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "kserve"])
@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain"])
def test_another_content_type_is_told_with_what_to_choose(kind: str, content_type: str | None) -> None:
    with pytest.raises(UnreadableError, match="choose application/json"):
        meaning(kind, sent_by(kind).but(content_type=content_type))


@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_of_each_kind_proves_itself_and_is_read(kind: str) -> None:
    receiver = RECEIVERS[kind]
    made = receiver.sample(SECRET, NOW)
    check_fresh(receiver.verify(made.headers, made.body, (SECRET,), NOW), receiver.window, NOW)
    assert not isinstance(receiver.interpret(made.headers, made.body), Nothing)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_of_the_headers_holds_no_secret(kind: str) -> None:
    sent = sent_by(kind)
    kept = {name: sent.headers[name] for name in RECEIVERS[kind].kept if name in sent.headers}
    assert kept
    assert SECRET not in json.dumps(kept)
    assert "authorization" not in kept


@pytest.mark.parametrize("kind", KINDS)
def test_the_instructions_name_address_and_secret(kind: str) -> None:
    setup = RECEIVERS[kind].setup("https://hallmark.example/v1/sources/x/deliveries", SECRET)
    text = json.dumps(dict(setup.paste))
    assert SECRET in text
    assert "hallmark.example/v1/sources/x/deliveries" in text
    assert len(setup.steps) >= 2


words = st.text(max_size=40)
names = st.sampled_from(
    ["content-type", "authorization", *PROOFS.values(), "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-github-event",
     "x-github-delivery", "ce-id", "ce-type", "ce-source", "ce-specversion", "ce-time", "ce-inferenceservicename"]
)  # fmt: skip
headers = st.dictionaries(names, words | st.just("application/json") | st.just("1.0"), max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | words
trees = st.recursive(leaves, lambda t: st.lists(t, max_size=3) | st.dictionaries(words, t, max_size=3), max_leaves=8)
bodies = st.binary(max_size=80) | trees.map(lambda tree: json.dumps(tree).encode())


@pytest.mark.parametrize("kind", KINDS)
@given(headers=headers, body=bodies)
def test_whatever_comes_is_not_proven(kind: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(UnprovenError):
        RECEIVERS[kind].verify(headers, body, (SECRET,), NOW)


@pytest.mark.parametrize("kind", KINDS)
@given(headers=headers, body=bodies)
def test_whatever_is_read_is_understood_or_told(kind: str, headers: dict[str, str], body: bytes) -> None:
    with suppress(UnreadableError):
        RECEIVERS[kind].interpret({"content-type": "application/json", **headers}, body)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_real_delivery_with_anything_in_place_of_a_part_is_understood_or_told(kind: str, data: st.DataObject) -> None:
    sent = sent_by(kind)
    document = json.loads(sent.body)
    spot, value = document, data.draw(trees)
    while True:
        key = data.draw(st.sampled_from(sorted(spot))) if spot else ""
        if not isinstance(spot.get(key), dict) or data.draw(st.booleans()):
            break
        spot = spot[key]
    spot[key] = value
    with suppress(UnreadableError):
        RECEIVERS[kind].interpret(sent.headers, json.dumps(document).encode())
