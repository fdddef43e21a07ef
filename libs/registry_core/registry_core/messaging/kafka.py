"""The Kafka side: one profile object hides what differs between Apache Kafka and the embedded broker (Tansu)."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from registry_core.events import event_types, topic_of
from registry_core.settings import Settings

INBOUND = ("mlops.events", "serving.inference")
MAX_MESSAGE = 900_000
"""Bytes; the embedded broker has no limit of its own, Apache Kafka's default is 1 MiB."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Measured differences: architecture.md, table of settings."""

    idempotent: bool
    session_timeout_ms: int
    heartbeat_interval_ms: int
    fetch_max_wait_ms: int
    rebalance_timeout_ms: int
    recycle_after: int | None
    """Offsets per partition after which the registry topics are made anew: Tansu keeps everything, and slows down."""


PROFILES = {
    # InitProducerId fails on Tansu; new data does not wake a waiting fetch; joins take half a session.
    "tansu": Profile(False, 2_000, 500, 40, 5_000, 10_000),
    "kafka": Profile(True, 10_000, 3_000, 500, 15_000, None),
}


def profile(settings: Settings) -> Profile:
    return PROFILES[settings.kafka_flavour]


def registry_topics() -> list[str]:
    """Every topic the relay publishes to."""
    return sorted({topic_of(event_type) for event_type in event_types()})


def all_topics() -> list[str]:
    inbound = [name for topic in INBOUND for name in (topic, f"{topic}.dlq")]
    return [*registry_topics(), *(f"{topic}.dlq" for topic in registry_topics()), *inbound]


def _ssl(settings: Settings) -> ssl.SSLContext | None:
    return ssl.create_default_context() if settings.kafka_security_protocol.endswith("SSL") else None


def client_options(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client needs to connect."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _ssl(settings),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return options


def faststream_security(settings: Settings) -> BaseSecurity | None:
    """The same as a FastStream security object."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    if settings.kafka_security_protocol == "SSL":
        return BaseSecurity(ssl_context=_ssl(settings))
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[settings.kafka_sasl_mechanism](
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value(),
        ssl_context=_ssl(settings),
        use_ssl=settings.kafka_security_protocol == "SASL_SSL",
    )


def producer(settings: Settings) -> AIOKafkaProducer:
    """A producer with acks from all replicas, idempotent where the broker can."""
    return AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        enable_idempotence=profile(settings).idempotent,
        linger_ms=2,
        max_request_size=MAX_MESSAGE,
        request_timeout_ms=10_000,
    )


async def ensure_topics(settings: Settings, anew: Sequence[str] = ()) -> None:
    """Create what is missing; topics named in `anew` are deleted first. Raises KafkaError or OSError."""
    admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=5_000)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        if gone := sorted(existing & set(anew)):
            await admin.delete_topics(gone)
            existing -= set(gone)
        if missing := [_topic(topic, settings) for topic in all_topics() if topic not in existing]:
            await admin.create_topics(missing)
    finally:
        await admin.close()


def _topic(name: str, settings: Settings) -> NewTopic:
    partitions, replicas = settings.kafka_partitions, settings.kafka_replication
    return NewTopic(name=name, num_partitions=partitions, replication_factor=replicas)
