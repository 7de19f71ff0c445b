"""Room: the append-only Merkle log (C2SP tlog-tiles) and proofs from it."""
