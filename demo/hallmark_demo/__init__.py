"""The journey: one real model from CI to retirement."""
