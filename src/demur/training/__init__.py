"""Training: shards become experts, experts become regions, and any slice can be taken out again.

For: flows (build, erase). In: a corpus folder, a frozen base, a plan. Out: states, receipts, a model folder.
May touch: the models folder, processors, processes of its own. May not: see persons (only roots over blinded ids),
ask the clock, decide who may be trained on. Read first: run.py, learn.py, merge.py.
"""

from demur.training.base import Base, open_base
from demur.training.destroy import doomed, forget
from demur.training.estimate import count_tokens, estimate_seconds, tokens_read
from demur.training.evaluate import Loss, Unsharded, evaluate, train_unsharded
from demur.training.modelfiles import read_model
from demur.training.newbase import make_base
from demur.training.plan import check_plan, make_plan, plan_digest, plan_from_json
from demur.training.receipts import PeopleRoots, all_chains, read_chain, receipt_digest
from demur.training.rollback import RolledBack, rollback
from demur.training.router import Router, generate, region_folder
from demur.training.run import model_id_of, train
from demur.training.verify import Rerun, Verified, rerun, verify_receipts

__all__ = [
    "Base",
    "Loss",
    "PeopleRoots",
    "Rerun",
    "RolledBack",
    "Router",
    "Unsharded",
    "Verified",
    "all_chains",
    "check_plan",
    "count_tokens",
    "doomed",
    "estimate_seconds",
    "evaluate",
    "forget",
    "generate",
    "make_base",
    "make_plan",
    "model_id_of",
    "open_base",
    "plan_digest",
    "plan_from_json",
    "read_chain",
    "read_model",
    "receipt_digest",
    "region_folder",
    "rerun",
    "rollback",
    "tokens_read",
    "train",
    "train_unsharded",
    "verify_receipts",
]
