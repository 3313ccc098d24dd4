# The verbs of the project. Each does all it needs; none needs another to have run.
PRESET ?= release
JOBS   ?= $(shell nproc)

.PHONY: help build demo test bench format lint clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

build: ## the program, at build/zorya
	@tools/install_packages.sh build
	@tools/build.sh $(PRESET) $(JOBS) program

demo: ## the todo stack on a URL; DEMO_ONESHOT=1 runs its contract test on both examples and ends
	@$(MAKE) --no-print-directory build
	@tools/demo.sh

test: ## every test; TESTS=regex for some of them
	@tools/install_packages.sh build test
	@tools/build.sh $(PRESET) $(JOBS) all
	@tools/test.sh $(PRESET) "$(TESTS)"

bench: ## every benchmark in turn; JSON on standard output
	@tools/install_packages.sh build test bench
	@tools/build.sh $(PRESET) $(JOBS) all
	@tools/bench.sh $(PRESET)

format: ## lays the sources out
	@tools/install_packages.sh lint
	@git ls-files '*.h' '*.cc' '*.c' | xargs clang-format-16 -i

lint: ## format, the house's rules, clang-tidy on changed files
	@tools/install_packages.sh build test lint
	@tools/lint.sh

clean: ## removes what was built
	rm -rf build
