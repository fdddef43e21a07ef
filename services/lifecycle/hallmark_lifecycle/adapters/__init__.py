"""The outside world of the lifecycle service."""
