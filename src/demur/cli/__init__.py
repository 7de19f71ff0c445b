"""Room: the command line: read, call one door, show."""
