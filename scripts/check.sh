#!/bin/sh
# Everything that must hold before a change lands: lint, types, import contracts, tests, examples in docs.
set -eu
cd "$(dirname "$0")/.."
bin="$PWD/.venv/bin/python -m"
export DAFT_ANALYTICS_ENABLED=0 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1
step() { printf '== %s\n' "$*"; }
step lint; $bin ruff check --quiet .; $bin ruff format --check --quiet .
step types; $bin mypy
step imports; .venv/bin/python -c 'from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))' >/tmp/demur-imports.$$ || { cat /tmp/demur-imports.$$; exit 1; }
rm -f /tmp/demur-imports.$$
[ "${1:-}" = quick ] && exit 0
step tests; $bin pytest -n "${DEMUR_WORKERS:-2}" --dist worksteal
