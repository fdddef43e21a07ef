"""Policy, review and signed decisions."""
