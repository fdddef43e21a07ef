"""Benchmarks: every workload beside its reference, in turn, in one run. See README.md in this folder."""
