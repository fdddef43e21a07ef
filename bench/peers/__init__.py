"""Runs in .bench, with the references' packages: each module takes JSON arguments and prints JSON as its last line."""
