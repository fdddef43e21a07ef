"""Reads hostile artifacts, SBOMs and attestations; never runs them."""
