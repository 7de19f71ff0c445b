"""What a model says when it is asked again, beside what somebody says it said (TPD-05). Pure but for the model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.corpus.similarity import words
from demur.requests import Claim

RUN_WORDS = 8
"""So many words in a row that are the same are no chance."""
SAME = 0.6
"""Similarity from which two short texts are the same."""
LOST_PROMPT = 12
"""Without a prompt the model is given so many of the first words of what it is said to have put out."""


def asked_again(
    model: Path, claim: Claim, jaccard: Callable[[str, str], float], *, tokens: int, at: datetime
) -> dict[str, Any]:
    """Return the evidence: each prompt with what came out, and whether any of it is what the claim says."""
    from demur.training import generate

    prompts = claim.prompts or (" ".join(claim.output.split()[:LOST_PROMPT]),)
    runs = []
    for prompt in prompts:
        said = generate(model, prompt, max_new_tokens=tokens)
        runs.append({"prompt": prompt, "output": said, **likeness(claim.output, f"{prompt} {said}", jaccard)})
    return {
        "model": model.name,
        "at": iso(at),
        "runs": runs,
        "reproduced": any(run["same"] for run in runs),
    }


def likeness(claimed: str, said: str, jaccard: Callable[[str, str], float]) -> dict[str, Any]:
    """Return how alike two texts are: the longest run of the same words, and their similarity."""
    run, similar = longest_run(words(claimed), words(said)), round(jaccard(claimed, said), 3)
    need = min(RUN_WORDS, max(len(words(claimed)), 1))
    return {"run": run, "similarity": similar, "same": bool(claimed) and (run >= need or similar >= SAME)}


def longest_run(one: list[str] | tuple[str, ...], other: list[str] | tuple[str, ...]) -> int:
    """Return the length of the longest run of words that both have.

    >>> longest_run(["a", "b", "c"], ["x", "b", "c"])
    2
    """
    best, before = 0, [0] * (len(other) + 1)
    for word in one:
        now = [0] * (len(other) + 1)
        for place, same in enumerate(other, start=1):
            if word == same:
                now[place] = before[place - 1] + 1
                best = max(best, now[place])
        before = now
    return best
