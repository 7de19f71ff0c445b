# Two commands matter: `make demo` and `make test`. The rest is for people who work on demur.
.PHONY: demo site test quick bench nightly lock clean
PY := .venv/bin/python
JSON ?=
export DAFT_ANALYTICS_ENABLED := 0
export HF_HUB_OFFLINE := 1

demo:
	@scripts/setup.sh run
	@$(PY) -m demur demo --home demo $(if $(JSON),--json "$(JSON)")

site:  # the demo, then the running site
	@scripts/setup.sh run
	@$(PY) -m demur demo --home demo --serve

test:
	@scripts/setup.sh test
	@scripts/check.sh

quick:  # the checks that take seconds
	@scripts/setup.sh test
	@scripts/check.sh quick

nightly:  # the same tests at their large settings
	@scripts/setup.sh test
	@DEMUR_NIGHTLY=1 scripts/check.sh

bench:
	@scripts/setup.sh test
	@$(PY) benchmarks/run.py

lock:
	@scripts/lock.sh

clean:
	rm -rf .venv demo build
