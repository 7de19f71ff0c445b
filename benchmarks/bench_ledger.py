"""How fast the ledger is: raw leaves, whole entries with openings, proofs, reopening, verifying.

Run: python benchmarks/bench_ledger.py [LEAVES]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from demur.ledger import Entry, EntryKind, Ledger, people_root, prove_absence, verify, verify_absence, verify_proof
from demur.ledger.tiles import TileLog
from demur.store import KeyRing


def main(leaves: int) -> None:
    at = datetime(2025, 5, 27, tzinfo=UTC)
    out: dict[str, float] = {"leaves": leaves}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        keys = KeyRing(root / "keys", seed=b"bench")
        raw = [b'{"v":1,"kind":"objection","commitment":"%064x"}' % one for one in range(leaves)]
        log = TileLog(root / "raw", keys.signer(), "bench.example/raw")
        began, cpu = time.perf_counter(), time.process_time()
        log.append(raw)
        out["raw_leaves_per_s"] = leaves / (time.perf_counter() - began)
        out["raw_leaves_per_cpu_s"] = leaves / (time.process_time() - cpu)
        batch = [Entry(EntryKind.OBJECTION, at, f"objection-{one}", {"objection": one}) for one in range(leaves)]
        with Ledger.open(root / "ledger", keys, "bench.example/ledger") as ledger:
            began, cpu = time.perf_counter(), time.process_time()
            ledger.append(batch)
            out["entries_per_s"] = leaves / (time.perf_counter() - began)
            out["entries_per_cpu_s"] = leaves / (time.process_time() - cpu)
            began = time.perf_counter()
            ledger.append([Entry(EntryKind.BUILD, at, "one", {})])
            out["single_append_ms"] = 1e3 * (time.perf_counter() - began)
            proofs = range(0, leaves, max(1, leaves // 500))
            began = time.perf_counter()
            made = [ledger.prove(index) for index in proofs]
            out["proof_ms"] = 1e3 * (time.perf_counter() - began) / len(made)
            began = time.perf_counter()
            for proof in made[:100]:
                verify_proof(proof, ledger.verifier_key)
            out["verify_proof_ms"] = 10 * (time.perf_counter() - began)
        began = time.perf_counter()
        Ledger.open(root / "ledger", keys, "bench.example/ledger").close()
        out["reopen_ms"] = 1e3 * (time.perf_counter() - began)
        began = time.perf_counter()
        assert verify(root / "ledger").ok
        out["verify_all_leaves_per_s"] = leaves / (time.perf_counter() - began)
    blinded = sorted(keys.mac("blind", str(one)).hex() for one in range(leaves))
    began = time.perf_counter()
    commitment, count = people_root(blinded)
    out["people_root_s"] = time.perf_counter() - began
    proof = prove_absence(blinded, keys.mac("blind", "nobody").hex())
    began = time.perf_counter()
    for _ in range(100):
        assert verify_absence(commitment, count, keys.mac("blind", "nobody").hex(), proof)
    out["verify_absence_ms"] = 10 * (time.perf_counter() - began)
    out["absence_proof_bytes"] = len(json.dumps(proof.as_json()))
    print(json.dumps({name: round(value, 3) for name, value in out.items()}, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
