"""The Hallmark SDK and command line."""
