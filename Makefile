# Everything runs in .venv, which `make setup` makes in this folder.

PYTHON ?= python3
BIN    := .venv/bin

IMAGES ?=
PHOTO  ?= $(firstword $(sort $(wildcard .demo/photos/*.jpg)))
K      ?= 5
INDEX  ?= indexes/default

.DEFAULT_GOAL := help
.PHONY: help setup demo index query test test-distributed chromium iproute2 lint bench pictures endurance clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: IMAGES (folder to index), PHOTO (to search with), K (matches), INDEX"
	@echo "  Example:   make index IMAGES=~/Pictures && make query PHOTO=me.jpg K=3"

setup: .venv/ready  ## make .venv with pokesim and its tools in it

.venv/ready: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## draw sample pictures, index them, find one by its photo, save the match picture
	$(BIN)/pokesim sample-data .demo
	$(BIN)/pokesim build-index .demo/images --index indexes/demo
	$(BIN)/pokesim query .demo/photos/brumbel.jpg -k $(K) --index indexes/demo \
		--save .demo/match.png
	@echo "The match picture is .demo/match.png."

index: setup  ## build an index of IMAGES at INDEX
	$(BIN)/pokesim build-index $(IMAGES) --index $(INDEX)

query: setup  ## search INDEX with PHOTO for K matches
	$(BIN)/pokesim query $(PHOTO) -k $(K) --index $(INDEX)

test: setup chromium  ## run the tests
	$(BIN)/pytest -n auto --dist worksteal

test-distributed: setup .venv/milvus iproute2  ## run the tests on a real dask cluster and a real Milvus server
	$(BIN)/pytest tests/distributed/test_dask.py
	$(BIN)/python tests/distributed/namespace.py $(BIN)/pytest tests/distributed/test_milvus.py

.venv/milvus: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c .ci/constraints.txt milvus
	@touch $@

# The Milvus server listens on every interface, so it is tested in a namespace without any.
iproute2:
	@command -v ip > /dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y iproute2; } \
		|| echo "There is no program ip and it cannot be installed: no Milvus server is tested."

# The page is tested in a real browser. Where it cannot be had, these tests are skipped.
chromium:
	@command -v chromium > /dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y chromium; } \
		|| echo "There is no chromium and it cannot be installed: the page is not tested."

lint: setup  ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: setup  ## measure building, querying and searching, side by side; draws bench.png
	$(BIN)/python tests/benchmarks --plot bench.png

pictures: setup  ## draw the pictures of the README, from the sample pictures
	$(BIN)/pokesim sample-data .demo
	$(BIN)/pokesim build-index .demo/images --index indexes/demo --embedder compact
	$(BIN)/pokesim query .demo/photos/ribbet.jpg -k 6 --index indexes/demo --save .github/match.jpg
	$(BIN)/pokesim query .demo/photos/octavin.jpg -k 1 --index indexes/demo --explain \
		--save .github/explained.jpg
	POKESIM_SCREENSHOTS=.demo $(BIN)/pytest tests/web/test_page.py -k "double and desk and light"
	$(BIN)/python -c "from PIL import Image; \
		Image.open('.demo/matches-desk-light.png').convert('RGB').save('.github/page.jpg', quality=85)"

endurance: setup  ## kill builds, damage files, fuzz pictures, fill disks, storm the server, for half an hour
	cd tests && ../$(BIN)/python -m stress.endurance

clean:  ## remove .venv, caches, and what demo made
	rm -rf .venv .demo indexes/demo .*_cache dist build
	find pokesim tests -name __pycache__ -type d -prune -exec rm -rf {} +
