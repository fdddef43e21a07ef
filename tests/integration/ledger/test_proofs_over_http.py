"""Proofs as an auditor asks for them: of the whole log by default, of an earlier size, and of none beyond it."""

import pytest
from integration.ledger.conftest import Ledger
from registry_core.proofs.canonical import from_base64
from registry_core.proofs.merkle import root, verify_consistency, verify_inclusion


async def test_a_proof_holds_for_the_whole_log_and_for_an_earlier_size(ledger: Ledger) -> None:
    await ledger.append(5)
    leaves = [from_base64(entry["leaf"]) for entry in await ledger.get("/v1/log/entries")]
    for size in (len(leaves), 4):
        asked = {} if size == len(leaves) else {"size": size}
        found = await ledger.get("/v1/log/proofs/inclusion", log_index=3, **asked)
        proof = [from_base64(item) for item in found["proof"]]
        assert found["size"] == size
        verify_inclusion(leaves[3], 3, size, proof, root(leaves[:size]))
    found = await ledger.get("/v1/log/proofs/consistency", old=4)
    proof = [from_base64(item) for item in found["proof"]]
    verify_consistency(4, found["new"], proof, root(leaves[:4]), root(leaves))


@pytest.mark.parametrize("asked", ["inclusion?log_index=0&size=99", "consistency?old=1&new=99"])
async def test_a_size_beyond_the_log_is_refused_with_the_size_it_has(ledger: Ledger, asked: str) -> None:
    answer = await ledger.http.get(f"/v1/log/proofs/{asked}")
    assert answer.status_code in {400, 422}
    assert "not 99" in answer.json()["detail"]
