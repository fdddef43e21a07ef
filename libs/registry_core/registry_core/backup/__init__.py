"""Backups of a whole installation: one folder that is complete or not there, restored whole or not at all.

    manifest.json     what is here, with the SHA-256 of each file, and the log's size and root
    database.dump     everything in the database as of one snapshot (pg_dump, custom format)
    checkpoint.note   the newest signed checkpoint of the log in the dump
    artifacts.txt     digest and size of each artifact
    artifacts/        the artifacts by digest, copied after the dump: they are never replaced, so none is missing

Private keys are not among them: they go to a folder of their own, if one is named. The digests tell damage, not
malice: who can write to a backup can write a whole other one. `hallmark audit verify` with a checkpoint kept
elsewhere tells that.
"""

from registry_core.backup.keys import put_keys_back, save_keys
from registry_core.backup.manifest import BackupError, Manifest, read_manifest
from registry_core.backup.restore import restore
from registry_core.backup.write import write_backup

__all__ = ["BackupError", "Manifest", "put_keys_back", "read_manifest", "restore", "save_keys", "write_backup"]
