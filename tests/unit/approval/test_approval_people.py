"""Who had a hand in a version, as persons."""

import pytest
from hallmark_approval.people import parties, requesters
from registry_core.events.governance import AccountCreated
from registry_core.events.lifecycle import ExceptionGranted, ExceptionRequested
from registry_core.events.promotions import PromotionOpened, PromotionRequested
from registry_core.events.versions import ArtifactStored, MetadataAmended, VersionRegistered
from registry_core.handlers import load
from registry_core.identity import account_stream
from registry_core.store.memory import MemoryEventStore
from registry_core.values import File, Metadata, RiskTier, UseContext, promotion_stream
from registry_core.version import Version
from support import NOW, MemoryReader, record

REF = "model:m@1.0.0"
FILE = File(name="m.bin", digest="sha256:" + "a" * 64)


async def history(registered_by: str) -> MemoryReader:
    """Dana owns and registers; somebody else with a second login uploads; each other part has a person of its own."""
    store = MemoryEventStore()
    for account, person in (("dana", "Dana"), ("ursula-ci", "Ursula")):
        created = AccountCreated(account=account, kind="human", person=person, display_name=person)
        await record(store, account_stream(account), created)
    registered = VersionRegistered(
        ref=REF, digest=FILE.digest, files=(FILE,), metadata=Metadata(owner="dana"), registered_by=registered_by
    )
    await record(store, REF, registered, actor=registered_by)
    await record(store, REF, ArtifactStored(ref=REF, file=FILE, uri="file:///m.bin"), actor="ursula-ci")
    amended = MetadataAmended(ref=REF, metadata=Metadata(owner="dana", risk_tier=RiskTier.LOW))
    await record(store, REF, amended, actor="amos")
    asked = ExceptionRequested(ref=REF, exception="x", rule="r", reason="y", requested_by="xena", expires_at=NOW)
    await record(store, REF, asked, ExceptionGranted(ref=REF, exception="x", granted_by="greta", person="greta"))
    requested = PromotionRequested(
        promotion="p", ref=REF, digest=FILE.digest, context=UseContext(business_function="lending"),
        environment="production", requested_by="paul",
    )  # fmt: skip
    await record(store, promotion_stream("p"), requested)
    await record(store, REF, PromotionOpened(ref=REF, promotion="p"))
    return MemoryReader(store)


async def test_whoever_uploaded_a_file_is_a_party_under_the_person_s_name():
    reader = await history("dana")
    who = await parties(reader, await load(reader, Version(), REF), ["paul"])
    assert who.parts_of("Ursula") == ("uploaded files",)
    assert who.parts_of("Dana") == ("registered the version",)


async def test_the_owner_stands_for_whoever_registered_over_a_topic():
    reader = await history("kafka:mlops")
    who = await parties(reader, await load(reader, Version(), REF), ["paul"])
    assert who.parts_of("Dana") == ("registered the version",)


@pytest.mark.parametrize(
    ("person", "part"),
    [
        ("amos", "amended the metadata"),
        ("xena", "asked for an exception"),
        ("greta", "granted an exception"),
        ("paul", "requested the promotion"),
    ],
)
async def test_everybody_with_a_part_is_a_party(person: str, part: str):
    reader = await history("dana")
    version = await load(reader, Version(), REF)
    who = await parties(reader, version, await requesters(reader, version))
    assert who.parts_of(person) == (part,)
    assert who.parts_of("nina") == ()
