"""Shards as independent jobs, in worker processes with one thread each, or in this process for one worker.

A worker loads the base once. It stops at a slice border when it is told to, and ends when its parent dies. Results do
not depend on the number of workers.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from demur.errors import OutsideError
from demur.terms.manifests import TrainPlan
from demur.training.slices import read_slice
from demur.training.states import StateFacts, Tensors, chain_key, digest_tensors, read_state, state_path, write_state

WORTH_A_PROCESS = 1000
"""Records left to train from which on worker processes pay: each takes seconds to load its libraries."""

LARGE_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class SliceWork:
    """One slice with records."""

    slice: int
    content_digest: str
    paths: tuple[Path, ...]
    """One file; several only for the unsharded model that erasability is compared with."""
    records: int


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard's slices in order."""

    region: str
    shard: int
    slices: tuple[SliceWork, ...]


@dataclass(frozen=True, slots=True)
class ShardDone:
    """What a job left: facts of the states that are on disk now."""

    region: str
    shard: int
    facts: dict[int, StateFacts]
    trained: tuple[int, ...]
    """Slices that were computed now; the others were there."""
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """What every worker needs; plain values, so that it travels to another process."""

    base_folder: Path
    plan: TrainPlan
    plan_digest: str
    cells_key: bytes
    seal_key: bytes
    store: Path
    """The models folder."""

    def key(self, job: ShardJob, chain: Sequence[tuple[int, str]]) -> str:
        """Return the name of a shard's state after a chain of slices."""
        return chain_key(self.plan.base_digest, self.plan_digest, job.region, job.shard, chain)

    def large(self) -> bool:
        """Return whether the base is so large that a second thread saves more than it costs (EVIDENCE §7)."""
        return sum(path.stat().st_size for path in self.base_folder.glob("*.safetensors")) > LARGE_BYTES

    def missing(self, job: ShardJob) -> int:
        """Return how many records lie in slices whose state is not on disk yet."""
        chain = [(work.slice, work.content_digest) for work in job.slices]
        return sum(
            work.records
            for number, work in enumerate(job.slices, start=1)
            if not (self.store / state_path(job.region, job.shard, work.slice, self.key(job, chain[:number]))).exists()
        )


@dataclass(slots=True)
class Worker:
    """One process' learner and what tells it to stop."""

    bench: Bench
    stopped: Callable[[], bool]
    learner: Any = field(default=None)

    def run(self, job: ShardJob) -> ShardDone:
        """Train a shard's slices that are not there yet, in order."""
        state: Tensors | None = None
        facts: dict[int, StateFacts] = {}
        trained: list[int] = []
        chain: list[tuple[int, str]] = []
        for work in job.slices:
            if self.stopped():
                return ShardDone(job.region, job.shard, facts, tuple(trained), stopped=True)
            chain.append((work.slice, work.content_digest))
            key = self.bench.key(job, chain)
            path = self.bench.store / state_path(job.region, job.shard, work.slice, key)
            if path.exists():
                state, facts[work.slice] = read_state(path, self.bench.seal_key)
            else:
                state, facts[work.slice] = self._slice(job, state, work, key, path)
                trained.append(work.slice)
        return ShardDone(job.region, job.shard, facts, tuple(trained))

    def _slice(
        self, job: ShardJob, state: Tensors | None, work: SliceWork, key: str, path: Path
    ) -> tuple[Tensors, StateFacts]:
        learner = self._learner()
        start = learner.first(job.region, job.shard) if state is None else learner.layout.join(state)
        begun = time.perf_counter()
        learned = learner.learn(start, [row for part in work.paths for row in read_slice(part)])
        tensors = learner.layout.split(learned.vector)
        facts = StateFacts(
            key,
            digest_tensors(tensors),
            learned.records,
            learned.tokens,
            learned.holes,
            round(time.perf_counter() - begun, 4),
        )
        write_state(path, tensors, facts, self.bench.seal_key)
        return tensors, facts

    def _learner(self) -> Any:
        if self.learner is None:
            from demur.training.learn import Learner

            self.learner = Learner(self.bench.base_folder, self.bench.plan, self.bench.cells_key)
        return self.learner


def run_jobs(
    bench: Bench, jobs: Sequence[ShardJob], workers: int, stop: Callable[[], str | None]
) -> Iterator[ShardDone]:
    """Run jobs, longest first, and yield what each left, in the order of their ends.

    Args:
        bench: what every worker needs.
        jobs: shards with records.
        workers: processes; 1 = this process.
        stop: asked at slice borders (by another process: at most 0.2 s apart); a reason stops all.

    Raises:
        OutsideError: a worker process was killed.
    """
    waiting = {(job.region, job.shard): bench.missing(job) for job in jobs}
    ordered = sorted(jobs, key=lambda job: (-waiting[job.region, job.shard], job.region, job.shard))
    there = [job for job in ordered if not waiting[job.region, job.shard]]
    missing = ordered[: len(ordered) - len(there)]
    yield from _here(bench, there, stop)
    if workers <= 1 or len(missing) <= 1 or sum(waiting.values()) < WORTH_A_PROCESS:
        yield from _here(bench, missing, stop)
    else:
        yield from _spread(bench, missing, min(workers, len(missing)), stop)


def _here(bench: Bench, jobs: Sequence[ShardJob], stop: Callable[[], str | None]) -> Iterator[ShardDone]:
    from demur.training.learn import repeatable

    worker = Worker(bench, lambda: stop() is not None)
    with repeatable(None if bench.large() else 1):
        for job in jobs:
            done = worker.run(job)
            yield done
            if done.stopped:
                return


def _spread(
    bench: Bench, jobs: Sequence[ShardJob], workers: int, stop: Callable[[], str | None]
) -> Iterator[ShardDone]:
    context = multiprocessing.get_context("spawn")
    halt = context.Event()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(bench, halt))
    try:
        waiting: set[Future[ShardDone]] = {pool.submit(_run, job) for job in jobs}
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            if stop() is not None:
                halt.set()
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise OutsideError(
            "a training process was killed (out of memory?); run the same command again: it goes on at the last slice"
        ) from error
    finally:
        halt.set()
        pool.shutdown(wait=True, cancel_futures=True)


_worker: Worker | None = None


def _begin(bench: Bench, halt: Any) -> None:
    """Set up a worker process: one thread, deterministic kernels, no life after the parent's."""
    global _worker  # noqa: PLW0603  (a process' own state; the pool gives no other place)
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Worker(bench, halt.is_set)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _run(job: ShardJob) -> ShardDone:
    assert _worker is not None, "the pool begins every worker"
    return _worker.run(job)
