"""Room: the sealed map from records to items and persons."""
