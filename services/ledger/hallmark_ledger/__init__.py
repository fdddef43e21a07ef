"""Seals the log, relays it, signs checkpoints, answers the auditor."""
