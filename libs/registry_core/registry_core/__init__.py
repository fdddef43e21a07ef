"""The spine of Hallmark: events, store, log, proofs and messaging."""
