# The verbs of the project. Each does all it needs; none needs another to have run.
PRESET ?= release
JOBS   ?= $(shell nproc)

.PHONY: build demo test bench format lint clean

build: ## the program, at build/zorya
	@tools/install_packages.sh build
	cmake --preset $(PRESET) -DZORYA_TESTS=OFF
	cmake --build --preset $(PRESET) -j $(JOBS)
	@ln -sfn $(PRESET)/bin/zorya build/zorya
