"""Readers of hostile files. They import the standard library only, so that a scanning process starts fast."""
