"""A pack: a whole log, or the evidence of one version, as a single file that anyone can verify offline.

The file is JSON Lines; every line is canonical JSON (`proofs.canonical`), so any one content has one spelling:

    {"crc":"…","hallmark":"pack/v1","kind":"evidence"|"log","line":1,"made_at":…,"origin":…,"subject":…,"vkeys":[…]}
    {"crc":"…","item":"handover","line":2,"note":"<by the old key and the new>"}      (if the log's key ever changed)
    {"crc":"…","item":"checkpoint","line":2,"note":"<signed checkpoint>"}
    {"crc":"…","item":"event","line":3,"proof":["<base64>",…],"record":{…}}
    {"crc":"…","data":"<base64>","digest":"sha256:…","item":"blob","line":4,"media_type":"…"}
    {"crc":"…","envelope":{<DSSE>},"item":"decision","keys":["<base64 public key>",…],"line":5}
    {"crc":"…","item":"end","line":6,"lines":5,"sha256":"<hex, of all bytes before this line>","signature":"— …"}

- `kind: log` holds all events from index 0 and no proofs: a checkpoint stands directly behind the last event it covers,
  and the root is recomputed there. The last checkpoint covers all events.
- `kind: evidence` holds one checkpoint, then chosen events in log order, each with its inclusion proof.
- `crc` (CRC-32 of the line behind it) and `line` prove nothing: they tell where a file was damaged. That it was not is
  told by the end's signature, a note's signature line over `lines.end_text`.
- The keys that signed (`origin` is their name) are trusted when the verifier brings them, else on first use; `handover`
  lines lead from one of them to the others (`proofs.handover`).
"""

from registry_core.proofs.pack.lines import Header, Kind
from registry_core.proofs.pack.report import Problem, Report
from registry_core.proofs.pack.verifier import verify_pack
from registry_core.proofs.pack.writer import PackWriter

__all__ = ["Header", "Kind", "PackWriter", "Problem", "Report", "verify_pack"]
