"""Room: reading platforms' exports into items and people tables."""
