"""Signing and verifying, without a database: what the ledger seals and what an outsider checks offline.

`merkle` (RFC 6962), `envelope` (the log's leaf), `note` (signed notes and checkpoints), `dsse` (signed statements),
`keys` (Ed25519 key files) and `pack` (a log or one version's evidence in a single file).
"""
