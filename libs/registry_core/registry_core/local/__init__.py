"""PostgreSQL and Kafka on one machine, from wheels and jars, without Docker and without a system service."""
