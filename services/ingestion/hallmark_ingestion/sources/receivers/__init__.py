"""What proves and reads deliveries, one module for each kind of source (docs/sources.md)."""

from collections.abc import Mapping
from typing import Final

from hallmark_ingestion.sources.receivers import github, huggingface, kserve, mlflow, sagemaker, wandb
from hallmark_ingestion.sources.receivers.base import Receiver

RECEIVERS: Final[Mapping[str, Receiver]] = {
    "mlflow": mlflow.RECEIVER,
    "huggingface": huggingface.RECEIVER,
    "wandb": wandb.RECEIVER,
    "sagemaker": sagemaker.RECEIVER,
    "github": github.RECEIVER,
    "kserve": kserve.RECEIVER,
}
