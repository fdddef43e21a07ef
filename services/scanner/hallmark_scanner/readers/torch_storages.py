"""The tensors of a torch zip: the pickle names storages by persistent id, their bytes lie in `data/<key>`."""

from hallmark_scanner.readers.scan import Scan
from hallmark_scanner.readers.sources import Source
from hallmark_scanner.readers.symbols import OPAQUE, Global, Value

_ITEM_SIZES = {
    "BFloat16Storage": 2,
    "BoolStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8,
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "IntStorage": 4,
    "LongStorage": 8,
    "ShortStorage": 2,
    "UntypedStorage": 1,
}


class Storages:
    """Collects the persistent ids `("storage", type, key, location, number of elements)` of torch.save."""

    def __init__(self) -> None:
        self._sizes: dict[str, set[int]] = {}

    def resolve(self, identifier: Value) -> Value | None:
        """The storage of a persistent id; None where it is not one that torch writes."""
        if not isinstance(identifier, tuple) or len(identifier) != 5 or identifier[0] != "storage":
            return None
        _, kind, key, _, count = identifier
        if not (isinstance(kind, Global) and kind.module in ("torch", "torch.storage") and isinstance(key, str)):
            return None
        if kind.name not in _ITEM_SIZES or not isinstance(count, int):
            return None
        self._sizes.setdefault(key, set()).add(count * _ITEM_SIZES[kind.name])
        return OPAQUE

    def check(self, tensors: dict[str, Source], scan: Scan) -> None:
        """Raw bytes are accounted for only where a storage of just that size names them."""
        for key, source in tensors.items():
            sizes = self._sizes.pop(key, None)
            if sizes != {source.size}:
                scan.note("torch-storage-mismatch", source.name, f"has {source.size} bytes; the pickle says {sizes}")
        for key in self._sizes:
            scan.note("torch-storage-mismatch", key, "the pickle names a storage that the archive does not hold")
