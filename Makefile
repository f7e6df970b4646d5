# Two targets do all the set-up on a fresh machine with Node 20 or newer, npm and make.
#
#   make quickstart                    install, build, run a pipeline on real pages, train a model, write, audit
#   make quickstart CRAWL=CC-MAIN-…    the same over a slice of Common Crawl (network, about 1 GB)
#   make train-demo                    the same corpus, a decoder of 2.8 million parameters in 10 to 30 minutes, set beside compressors
#   make test                          install, type-check, lint, all tests

CRAWL ?=
TOKENS ?= 1M
SLUICE := npx sluice
CRAWL_ARGUMENT := $(if $(CRAWL),--crawl $(CRAWL))

.PHONY: quickstart train-demo test install kernels
.SILENT:

install:
	echo "── installing (npm only)"
	npm ci

kernels: install
	npm run --silent build:kernels

quickstart: kernels
	npm run --silent quickstart:input
	echo "── 1/4 pipeline: extract, filter, deduplicate, redact, tokenize"
	$(SLUICE) run pipelines/quickstart.ts $(CRAWL_ARGUMENT)
	echo "── 2/4 audit"
	$(SLUICE) audit runs/quickstart
	echo "── 3/4 train a small transformer on the token shards"
	rm -rf models/quickstart
	$(SLUICE) train quickstart/tokens --out models/quickstart --tokens $(TOKENS)
	echo "── 4/4 sample from it"
	$(SLUICE) sample models/quickstart --prompt "The President of the United States" --tokens 80 --temperature 0.7 --seed 4
	echo "── done"
	echo "documents  quickstart/documents       Parquet: text, origin, url; any Parquet reader opens it"
	echo "tokens     quickstart/tokens          Parquet, with tokenizer.json beside it"
	echo "model      models/quickstart          safetensors, loss log"
	echo "audit      runs/quickstart/audit.html open it in a browser: what was dropped, and why"
	echo
	echo "try next:  npx sluice audit runs/quickstart --stage gopherQuality --samples 3"
	echo "           change a threshold in pipelines/quickstart.ts, make quickstart again: only what follows it is redone"
	echo "           npx sluice sample models/quickstart --prompt 'Call me' --temperature 0.8"
	echo "           make quickstart TOKENS=5M     (a better model, for more of your time)"

# Muon for matrices, large steps for embeddings, which is what few tokens teach most with (docs/decisions.md).
train-demo: kernels
	npm run --silent quickstart:input
	echo "── 1/3 pipeline: extract, filter, deduplicate, redact, train a tokenizer, tokenize"
	$(SLUICE) run pipelines/quickstart.ts
	echo "── 2/3 train on ten million tokens: three epochs"
	$(SLUICE) train quickstart/tokens --out models/train-demo --model pipelines/train-demo.json --tokens 10M --batch-tokens 2048 \
	  --optimizer muon --lr 2e-3 --embedding-rate 75 --head-rate 4 --vector-rate 4 --weight-decay 0.01 \
	  --schedule linear --final-share 0.02 --evaluation-tokens 1M
	echo "── 3/3 bits per byte of held-out documents, beside what compresses text without a model"
	npm run --silent bench train-demo

test: kernels
	npm run --silent typecheck
	npm run --silent lint
	npm test
