# Everything runs in .venv, a virtual environment in this folder that the targets create.

PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check -c .ci/constraints.txt

IMAGES ?=
PHOTO  ?= $(firstword $(sort $(wildcard .demo/photos/*.jpg)))
K      ?= 5
INDEX  ?= indexes/default

.DEFAULT_GOAL := help
.PHONY: help install setup demo article index query test test-distributed chromium strace iproute2 lint bench pictures endurance clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: IMAGES (folder to index), PHOTO (to search with), K (matches), INDEX"
	@echo "  Example:   make index IMAGES=~/Pictures && make query PHOTO=me.jpg K=3"

install: .venv/installed  ## create .venv with pokesim

setup: .venv/ready  ## create .venv with pokesim, its extras and the developers' tools

.venv/installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/ready: .venv/installed
	$(PIP) -e '.[dev]'
	@touch $@

demo: install  ## index the sample pictures, find one by its photo, save the match picture
	$(BIN)/pokesim sample-data .demo
	$(BIN)/pokesim build-index .demo/images --index indexes/demo
	$(BIN)/pokesim query .demo/photos/brumbel.jpg -k $(K) --index indexes/demo \
		--save .demo/match.png
	@echo "The match picture is .demo/match.png."

article: PHOTO = .demo/photos/brumbel.jpg
article: install .venv/kaggle  ## index Kaggle's 809 Pokémon with ResNet50, find the one PHOTO looks like
	$(BIN)/pokesim fetch-dataset kaggle:vishalsubbiah/pokemon-images-and-types .demo/pokemon
	$(BIN)/pokesim sample-data .demo
	$(BIN)/pokesim build-index .demo/pokemon --embedder resnet50 --index indexes/article
	$(BIN)/pokesim query $(PHOTO) -k $(K) --index indexes/article --save .demo/article.png
	@echo "The photo and its match are in .demo/article.png."

.venv/kaggle: .venv/installed
	@$(BIN)/python -c "import kagglehub" 2> /dev/null || $(PIP) -e '.[kaggle]'
	@touch $@

index: install  ## build an index of IMAGES at INDEX
	$(BIN)/pokesim build-index $(IMAGES) --index $(INDEX)

query: install  ## search INDEX with PHOTO for K matches
	$(BIN)/pokesim query $(PHOTO) -k $(K) --index $(INDEX)

test: setup chromium strace  ## run the tests
	$(BIN)/pytest -n auto --dist worksteal

test-distributed: setup .venv/milvus iproute2  ## run the tests on a real dask cluster and a real Milvus server
	$(BIN)/pytest tests/distributed/test_dask.py
	$(BIN)/python tests/distributed/namespace.py $(BIN)/pytest tests/distributed/test_milvus.py

.venv/milvus: .venv/ready
	$(PIP) milvus
	@touch $@

# A Milvus server listens on every interface, so it is tested in a network namespace without any.
iproute2:
	@command -v ip > /dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y iproute2; } \
		|| echo "The program ip is missing and cannot be installed: no Milvus server is tested."

# The page is tested in a real browser. Without one, these tests are skipped.
chromium:
	@command -v chromium > /dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y chromium; } \
		|| echo "The program chromium is missing and cannot be installed: the page is not tested."

# Power cuts are tested from the system calls of a build. Without strace, these tests are skipped.
strace:
	@command -v strace > /dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y strace; } \
		|| echo "The program strace is missing and cannot be installed: no power cut is tested."

lint: setup  ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: setup  ## measure building, querying and searching side by side; draw bench.png
	$(BIN)/python tests/benchmarks --plot bench.png

pictures: setup  ## draw the pictures of the README, from the sample pictures
	$(BIN)/pokesim sample-data .demo
	$(BIN)/pokesim build-index .demo/images --index indexes/demo
	$(BIN)/pokesim query .demo/photos/ribbet.jpg -k 6 --index indexes/demo --save .github/match.jpg
	$(BIN)/pokesim query .demo/photos/octavin.jpg -k 1 --index indexes/demo --explain \
		--save .github/explained.jpg
	POKESIM_SCREENSHOTS=.demo $(BIN)/pytest tests/web/test_page.py -k "lookalike and desk and light"
	$(BIN)/python -c "from PIL import Image; \
		Image.open('.demo/matches-desk-light.png').convert('RGB').save('.github/page.jpg', quality=85)"

endurance: setup strace  ## kill builds, cut the power, damage files, fill disks, storm the server, for an hour
	cd tests && ../$(BIN)/python -m stress.endurance

clean:  ## remove .venv, caches, and what demo and article made
	rm -rf .venv .demo indexes/demo indexes/article .*_cache dist build
	find pokesim tests -name __pycache__ -type d -prune -exec rm -rf {} +
