"""From the sealed log to the services, and from the outside in. Kafka distributes, the log repairs."""
