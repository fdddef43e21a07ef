"""Pipelines' events reach the topic whole."""

import json

import pytest
from aiokafka import AIOKafkaConsumer
from hallmark import HallmarkError, emit_cloudevent
from registry_core.local.broker import LocalBroker

pytestmark = pytest.mark.messaging
EVENT = {"specversion": "1.0", "id": "1", "source": "ci/jobs", "type": "io.hallmark.register-version.v1", "data": {}}


async def test_an_event_is_on_the_topic_keyed_by_its_source(kafka_broker: LocalBroker):
    topic = "mlops.events.sdk-test"
    await emit_cloudevent(kafka_broker.bootstrap, EVENT, topic=topic)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka_broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        record = await consumer.getone()
    finally:
        await consumer.stop()
    assert json.loads(record.value) == EVENT
    assert record.key == b"ci/jobs"
    assert dict(record.headers)["content-type"].startswith(b"application/cloudevents+json")


async def test_an_incomplete_event_is_refused_before_it_is_sent():
    with pytest.raises(HallmarkError, match="type"):
        await emit_cloudevent("127.0.0.1:1", {**EVENT, "type": ""})
