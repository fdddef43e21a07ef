"""Takes in versions, artifacts, evidence and pipeline events."""
