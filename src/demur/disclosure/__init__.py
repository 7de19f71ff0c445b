"""Room: reports that people look at."""
