"""Commands about models: base, train, model, generate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, progress, reading, show, workers, working
from demur.cli.look import grid, listing, say


@click.command()
@click.option("--sentences", type=int, default=20_000, show_default=True, help="Made-up sentences to train it on.")
@click.option("--steps", type=click.IntRange(min=1), default=600, show_default=True, help="Steps of training.")
@click.option("--vocab", type=int, default=4096, show_default=True, help="Tokens of its tokenizer.")
@click.option("--hidden", type=int, default=96, show_default=True, help="Width.")
@click.option("--layers", type=int, default=3, show_default=True, help="Depth.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of text and weights.")
@pass_context
@guarded
def base(context: Context, sentences: int, steps: int, vocab: int, hidden: int, layers: int, seed: int) -> None:
    """Make a small frozen base from made-up text, for trying things out."""
    from demur.flows.left import alone
    from demur.testing import base_text
    from demur.training import make_base

    space = context.new_workspace
    folder = space.models / "base"
    with alone(space), progress(context) as told:
        made = make_base(
            base_text(seed, sentences), folder, vocab=vocab, hidden=hidden, layers=layers, steps=steps, seed=seed,
            progress=told,
        )  # fmt: skip
    show(context, {"base": str(folder), "digest": made.digest, "tokenizer": made.tokenizer_digest})
    hint(context, "Next: `demur train`")


@click.command()
@click.option(
    "--base",
    "base_path",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of a local LLaMA (safetensors or GGUF; default: the workspace's base).",
)
@click.option("--epochs", type=click.IntRange(min=1), default=1, show_default=True, help="How often a slice is read.")
@click.option("--cells", type=int, default=8, show_default=True, help="Batch places in a slice and epoch (C).")
@click.option("--max-tokens", type=int, default=96, show_default=True, help="Longer records are cut.")
@click.option(
    "--tokens-per-cell", type=int, default=512, show_default=True, help="Constant that losses are divided by."
)
@click.option("--adapter", type=click.Choice(["lora", "full"]), default="lora", show_default=True,
              help="Low-rank, or full weight differences.")  # fmt: skip
@click.option("--rank", type=int, default=8, show_default=True, help="Rank of LoRA.")
@click.option("--learning-rate", type=float, default=2e-3, show_default=True, help="Of the optimiser.")
@pass_context
@guarded
def train(
    context: Context,
    base_path: Path | None,
    epochs: int,
    cells: int,
    max_tokens: int,
    tokens_per_cell: int,
    adapter: str,
    rank: int,
    learning_rate: float,
) -> None:
    """Train an expert for each region and shard of the current corpus.

    Slice by slice, with a signed receipt each; the experts of a region are merged, regions never. Whoever objects
    before or meanwhile is taken out before it ends, by an erasure of its own (policy: erase_on_objection).
    """
    from demur.flows.build import plan_for
    from demur.flows.honour import train_honouring
    from demur.training import open_base

    with working(context) as parts:
        space = parts.workspace
        base = open_base(base_path or space.models / "base", space.models)
        plan = plan_for(
            parts, base, epochs=epochs, cells=cells, max_tokens=max_tokens, tokens_per_cell=tokens_per_cell,
            adapter=adapter, lora_rank=rank, learning_rate=learning_rate,
        )  # fmt: skip
        model = train_honouring(parts, plan, base, clock=clock.now, workers=workers())
    facts = {
        "model": model.model_id,
        "digest": model.model_digest,
        "regions": {one.region: str(space.models / model.model_id / one.path) for one in model.regions},
        "records": sum(model.records.values()),
        "tokens": sum(model.tokens.values()),
        "work": model.work,
    }
    show(context, facts)
    hint(
        context,
        "Next: `demur generate PROMPT`, `demur report`; when somebody leaves: `demur objection add`, `demur erase`",
    )


@click.group()
def model() -> None:
    """Trained models."""


@model.command("show")
@click.argument("model_id", required=False)
@pass_context
@guarded
def show_model(context: Context, model_id: str | None) -> None:
    """Show what a model is made of (default: the current one)."""
    from demur.flows.parts import model_folder
    from demur.training import read_model

    found = read_model(model_folder(context.workspace, model_id))
    rows = [[one.region, found.records[one.region], found.tokens[one.region], one.path] for one in found.regions]

    def text() -> None:
        listing({"model": found.model_id, "digest": found.model_digest, "status": found.status})
        say()
        grid(["region", "records", "tokens", "folder"], rows)

    show(context, asdict(found), text)


@model.command("verify")
@click.argument("model_id", required=False)
@pass_context
@guarded
def verify_model(context: Context, model_id: str | None) -> None:
    """Check every receipt, state and merged weight."""
    from demur.flows.verify import verify_model as check

    with reading(context) as parts:
        facts = check(parts, model_id)
    show(context, facts)


@model.command("rerun")
@click.argument("region")
@click.argument("shard", type=int)
@click.argument("slice_no", metavar="SLICE", type=int)
@pass_context
@guarded
def rerun(context: Context, region: str, shard: int, slice_no: int) -> None:
    """Train one slice again, alone, and compare it with its receipt: what an auditor does at random."""
    from demur.flows.parts import corpus_folder, model_folder
    from demur.terms.manifests import SliceRef
    from demur.training import open_base, read_model
    from demur.training import rerun as again

    space = context.workspace
    folder = model_folder(space)
    base = open_base((folder / read_model(folder).base_path).resolve(), space.models)
    done = again(folder, corpus_folder(space), SliceRef(region, shard, slice_no), base, space.keys)
    show(context, {**asdict(done), "equal": done.equal})
    if not done.equal:
        raise SystemExit(1)


@click.command()
@click.argument("prompt")
@click.option("--region", help="Region to ask (default: by the prompt's language).")
@click.option("--language", help="Language of the caller.")
@click.option("--tokens", type=int, default=40, show_default=True, help="How many at most.")
@click.option("--seed", type=int, default=None, help="Sample with this seed (default: the likeliest token).")
@pass_context
@guarded
def generate(
    context: Context, prompt: str, region: str | None, language: str | None, tokens: int, seed: int | None
) -> None:
    """Let the current model go on from a prompt.

    One region answers, never an average of several.
    """
    from demur.flows.hold import refuse_serving
    from demur.flows.parts import model_folder
    from demur.training import generate as go_on

    folder = model_folder(context.workspace)
    with reading(context) as parts:
        refuse_serving(parts, folder.name, clock.now())
    text = go_on(folder, prompt, region=region, language=language, max_new_tokens=tokens, seed=seed)
    show(context, {"text": text}, lambda: say(text))
