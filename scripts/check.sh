#!/bin/sh
# Everything that must hold before a change lands: lint, types, import contracts, tests, examples in docs.
set -eu
cd "$(dirname "$0")/.."
export DAFT_ANALYTICS_ENABLED=0 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1
step() { printf '== %s\n' "$*"; }
tool() { .venv/bin/python -m "$@"; }
step lint
tool ruff check --quiet .
tool ruff format --check --quiet .
step types
tool mypy
step imports
.venv/bin/python -c 'from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))'
[ "${1:-}" = quick ] && exit 0
step tests
tool pytest -n "${DEMUR_TEST_WORKERS:-2}" --dist worksteal
