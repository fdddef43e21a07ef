"""Checkpoints and proofs are accepted by somebody else's code: Go's own sumdb/note and sumdb/tlog (golang.org/x/mod).

The packages are those that every Go distribution vendors for its `go` command, so nothing is fetched.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.proofs.canonical import to_base64
from registry_core.proofs.merkle import TreeHead, leaf_hash
from registry_core.proofs.note import Signer, sign_checkpoint
from registry_core.proofs.tiles import plan_consistency, plan_inclusion
from support_witness import cosign

pytestmark = pytest.mark.timeout(600)  # the first build compiles parts of Go's standard library
PROGRAM = """
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"conformance/note"
	"conformance/tlog"
)

func main() {
	var in struct {
		Note                   string
		Vkeys                  []string
		Leaf                   []byte
		Index, Old, Size       int64
		OldRoot                tlog.Hash
		Inclusion, Consistency []tlog.Hash
	}
	check(json.NewDecoder(os.Stdin).Decode(&in))
	var verifiers []note.Verifier
	for _, vkey := range in.Vkeys {
		verifier, err := note.NewVerifier(vkey)
		check(err)
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(in.Note), note.VerifierList(verifiers...))
	check(err)
	_, rest, _ := strings.Cut(opened.Text, "\\n") // behind the origin; tlog.ParseTree takes that of Go's own log
	tree, err := tlog.ParseTree([]byte("go.sum database tree\\n" + rest))
	check(err)
	check(tlog.CheckRecord(in.Inclusion, tree.N, tree.Hash, in.Index, tlog.RecordHash(in.Leaf)))
	check(tlog.CheckTree(in.Consistency, tree.N, tree.Hash, in.Old, in.OldRoot))
	fmt.Println(len(opened.Sigs), tree.N, tree.Hash)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
"""
ORIGIN = "hallmark.example/log"


def vendored() -> Path | None:
    """Go's own copy of golang.org/x/mod/sumdb."""
    if not shutil.which("go"):
        return None
    root = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    folder = Path(root, "src/cmd/vendor/golang.org/x/mod/sumdb")
    return folder if (folder / "note/note.go").is_file() and (folder / "tlog/tlog.go").is_file() else None


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built."""
    sources = vendored()
    if sources is None:
        pytest.skip("no Go distribution with its vendored golang.org/x/mod on the PATH")
    folder = tmp_path_factory.mktemp("go")
    release = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "go.mod").write_text(
        f"module conformance\n\ngo {release.removeprefix('go').split('-')[0].split(' ')[0]}\n"
    )
    (folder / "main.go").write_text(PROGRAM)
    for package in ("note", "tlog"):
        shutil.copytree(sources / package, folder / package, ignore=shutil.ignore_patterns("*_test.go"))
    offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    done = subprocess.run(["go", "build", "-o", "verifier", "."], cwd=folder, env=os.environ | offline,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "verifier"


KEYS = [Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2)]
DATA = [f"leaf {n}".encode() for n in range(300)]
HASHES = {(0, n): leaf_hash(data) for n, data in enumerate(DATA)}
_, ENTRIES = TreeHead().append([leaf_hash(data) for data in DATA])
HASHES |= {(entry.level, entry.index): entry.hash for entry in ENTRIES}


def root(size: int) -> bytes:
    return TreeHead().append([leaf_hash(data) for data in DATA[:size]])[0].root


def request(size: int, index: int, old: int, *signers: Signer) -> dict[str, Any]:
    return {
        "Note": sign_checkpoint(ORIGIN, size, root(size), *signers),
        "Vkeys": [signer.vkey for signer in signers],
        "Leaf": to_base64(DATA[index]),
        "Index": index,
        "Old": old,
        "OldRoot": to_base64(root(old)),
        "Inclusion": [to_base64(hash_) for hash_ in plan_inclusion(index, size).compute(HASHES)],
        "Consistency": [to_base64(hash_) for hash_ in plan_consistency(old, size).compute(HASHES)],
    }


def ask(verifier: Path, asked: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([verifier], input=json.dumps(asked), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("size", "index", "old"), [(1, 0, 1), (7, 3, 5), (256, 255, 1), (257, 256, 256), (300, 17, 299)]
)
@pytest.mark.parametrize("signers", [KEYS[:1], KEYS], ids=["one key", "at the switch of keys"])
def test_a_public_verifier_accepts_checkpoint_and_proofs(
    verifier: Path, size: int, index: int, old: int, signers: list[Signer]
) -> None:
    done = ask(verifier, request(size, index, old, *signers))
    assert done.stderr == ""
    assert done.stdout.split() == [str(len(signers)), str(size), to_base64(root(size))]


def test_it_accepts_a_checkpoint_that_witnesses_cosigned(verifier: Path) -> None:
    """As the ledger serves it: the log's own signature counts, lines of unknown keys are passed over."""
    asked = request(257, 3, 200, KEYS[0])
    text = asked["Note"].partition("\n\n")[0] + "\n"
    asked["Note"] += cosign(Ed25519PrivateKey.from_private_bytes(b"w" * 32), "witness.example/w", text, 1_800_000_000)
    done = ask(verifier, asked)
    assert done.stderr == ""
    assert done.stdout.split() == ["1", "257", to_base64(root(257))]


@pytest.mark.parametrize("change", ["Leaf", "OldRoot", "Note", "Inclusion", "Consistency"])
def test_it_refuses_what_was_changed(verifier: Path, change: str) -> None:
    """So its acceptance means something."""
    asked = request(257, 3, 200, KEYS[0])
    match change:
        case "Note":
            asked["Note"] = asked["Note"].replace("\n257\n", "\n256\n")
        case "Leaf" | "OldRoot":
            asked[change] = to_base64(bytes(32))
        case _:
            asked[change] = asked[change][:-1]
    assert ask(verifier, asked).returncode == 1
