"""Checks evaluation results against thresholds."""
