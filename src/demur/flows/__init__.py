"""Room: one page each, each stage one call."""
