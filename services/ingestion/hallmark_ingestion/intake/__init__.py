"""What pipelines send, over HTTP and Kafka: read, decided and appended a batch at a time (docs/pipelines.md)."""
