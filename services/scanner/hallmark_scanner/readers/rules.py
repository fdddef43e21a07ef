"""What a scan can find, how grave it is and what mends it.

A rule of critical severity makes the file malicious; any other finding makes it a case for review. `complete` is False
where the finding means that something was not read.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    severity: str
    """A value of `registry_core.values.Severity`."""
    fix: str
    complete: bool = True


_SAFER = "Save the weights as safetensors, or scikit-learn models with skops, and register those."
_AGAIN = "Export the file again with the tool that made it and upload the new copy."
_REPACK = "Write the archive again with the framework's own save function and upload the new copy."

RULES: dict[str, Rule] = {
    "pickle-dangerous-global": Rule("critical", f"Do not load this file. Find out who made it. {_SAFER}"),
    "pickle-unknown-global": Rule("medium", f"Have a reviewer check the named class. {_SAFER}"),
    "pickle-unresolved-global": Rule("high", f"Its name is computed, which no library does. {_SAFER}"),
    "pickle-extension-code": Rule("high", f"Extension codes depend on the reader's copyreg table. {_SAFER}"),
    "pickle-computed-callable": Rule("high", f"It calls what an earlier call returned. {_SAFER}"),
    "pickle-modifies-global": Rule("high", f"It changes a class or function while loading. {_SAFER}"),
    "pickle-unusual-argument": Rule("high", f"The call has arguments that no library writes. {_SAFER}"),
    "pickle-persistent-id": Rule("medium", f"It needs an unpickler of its own to load. {_SAFER}"),
    "pickle-external-buffer": Rule("medium", f"It needs buffers from outside the file. {_SAFER}", complete=False),
    "pickle-unreadable": Rule("medium", _AGAIN, complete=False),
    "trailing-bytes": Rule("medium", f"Data follows where the format ends. {_AGAIN}", complete=False),
    "hidden-pickle": Rule("high", f"The file is readable as another format and as a pickle. {_AGAIN}"),
    "hidden-archive": Rule("high", f"The file is readable as another format and as a zip archive. {_AGAIN}"),
    "compressed-unreadable": Rule("medium", _AGAIN, complete=False),
    "limit-exceeded": Rule(
        "medium",
        "Upload smaller or uncompressed files, or have a reviewer raise the scan limits.",
        complete=False,
    ),
    "zip-unreadable": Rule("medium", _REPACK, complete=False),
    "zip-entry-unreadable": Rule("medium", _REPACK, complete=False),
    "zip-crc-mismatch": Rule("high", f"Readers disagree on such entries. {_REPACK}"),
    "zip-header-mismatch": Rule("high", f"Readers disagree on such entries. {_REPACK}"),
    "zip-hidden-data": Rule("high", f"Bytes of the file belong to no entry. {_REPACK}", complete=False),
    "zip-duplicate-entry": Rule("high", f"Readers disagree on which one counts. {_REPACK}"),
    "zip-unsafe-path": Rule("high", f"Unpacking would write outside its folder. {_REPACK}"),
    "torch-storage-mismatch": Rule("medium", f"Save the tensors again with torch.save, or as safetensors. {_AGAIN}"),
    "torchscript-code": Rule("medium", f"It carries code that runs with the model; review it. {_SAFER}"),
    "skops-unknown-type": Rule("medium", "Have a reviewer check the named type before it is trusted."),
    "skops-dangerous-type": Rule("critical", "Do not load this file. Find out who made it."),
    "skops-malformed": Rule("medium", "Write the file again with skops.io.dump.", complete=False),
    "numpy-malformed": Rule("medium", "Write the array again with numpy.save.", complete=False),
    "safetensors-malformed": Rule("medium", "Write the file again with safetensors.", complete=False),
    "gguf-not-understood": Rule(
        "medium", "Have a reviewer check the file, or register the safetensors it was made from.", complete=False
    ),
    "gguf-template-code": Rule("high", "Remove Python internals (`__`) from the chat template."),
    "template-code": Rule("high", "Remove Python internals (`__`), attr and imports from the chat template."),
    "keras-lambda": Rule("high", f"A Lambda layer is code that runs with the model; replace it by a layer. {_SAFER}"),
    "private-key": Rule("high", "Remove the private key, and replace it wherever it was in use."),
    "remote-code": Rule(
        "high", "Remove auto_map, trust_remote_code or loader_module; register a model that needs no code."
    ),
    "yaml-object-tag": Rule("high", "Remove tags other than the core ones; read the file with a safe loader."),
    "yaml-python-object": Rule("critical", "Do not load this file with an unsafe loader. Find out who made it."),
    "program-code": Rule("medium", "Register code as a code asset, apart from the model, and have it reviewed."),
    "text-malformed": Rule("low", "Mend the file so that it parses, and upload it again.", complete=False),
    "format-not-understood": Rule("medium", f"Have a reviewer check the file. {_SAFER}", complete=False),
    "scan-failed": Rule(
        "medium", "Scan again; if it fails again, have a reviewer check the file in isolation.", complete=False
    ),
}
