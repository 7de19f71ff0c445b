"""Room: the made-up network and its ground truth."""
