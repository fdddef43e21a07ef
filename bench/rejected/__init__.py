"""Schemes that were tried and rejected, kept as a record of why."""
