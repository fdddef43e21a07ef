"""Records as no decent client writes them."""

import struct
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

_CRC_AT, _CRC_FROM = 17, 21
"""Where a record batch has its checksum, and the first byte that it covers (Kafka's record batch, magic 2)."""
_PLACEHOLDER: Final = "unreadable-name"


async def send_batch(bootstrap: str, topic: str, values: Sequence[bytes], unreadable: Sequence[int] = ()) -> int:
    """Send one batch to partition 0; its first offset. The records numbered get a header name that is no UTF-8."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        batch = producer.create_batch()
        for n, value in enumerate(values):
            headers = [(_PLACEHOLDER, b"1")] if n in unreadable else []
            assert batch.append(key=None, value=value, timestamp=None, headers=headers)
        batch._builder = _Unreadable(batch._builder)
        sent = await (await producer.send_batch(batch, topic, partition=0))
        return int(sent.offset)


class _Unreadable:
    """Builds a batch whose checksum holds and whose placeholders are no UTF-8."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def build(self) -> bytearray:
        built = bytearray(self._builder.build())
        name = _PLACEHOLDER.encode()
        built = built.replace(name, b"\xff\xfe" + name[2:])
        struct.pack_into(">I", built, _CRC_AT, calc_crc32c(bytes(built[_CRC_FROM:])))
        return built

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)
