"""Systems that send deliveries: connected, proven, kept, and what each delivery brings about (docs/sources.md)."""
