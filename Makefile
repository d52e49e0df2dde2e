PYTHON ?= python3
BIN := .venv/bin
EXPLAIN = $(BIN)/python explain_image.py --output explanations --overwrite
# A file's tests stay together, until one process has none left and takes over some.
PARALLEL := -n 2 --dist worksteal
# What JAX has compiled is kept: tests compile the same again and again. To optimise
# what runs once on tiny arrays takes longer than to run it.
JAX := KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 \
	JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.venv/jax-cache \
	JAX_COMPILATION_CACHE_MAX_SIZE=1000000000 \
	JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0

# On JAX: what a backend computes, without networks of full size and most whole runs. Of
# the published families GIT is enough: they share their blocks.
JAX_TESTS := -k "not encoders and not blip and not vit_gpt2 and not vision-encoder" \
	$(addprefix tests/, test_backend.py test_operations.py \
	test_layers.py test_lrp.py test_decoders.py test_transformers.py test_beam_search.py \
	test_captioner.py test_explain.py test_objective.py test_self_critical.py \
	test_lrp_inference.py test_devices.py test_train.py::test_the_files_of_a_run \
	test_train.py::test_the_captioner_of_a_run \
	test_train.py::test_a_killed_run_goes_on_exactly \
	test_mixed_precision.py::test_the_loss_is_that_of_float32_and_falls) \
	$(foreach name, a_killed_run_goes_on_exactly the_benchmark_compares_in_one_run \
	lambda_1_is_a_plain_run pixel_relevance_equals_the_explanations, \
	--deselect tests/test_lrp_inference.py::test_$(name)) \
	--deselect tests/test_captioner.py::test_a_run_is_replaced_whole_or_not_at_all

# Explaining, captioning and one training; the large encoders take too long.
TORCH_TESTS := -k "not encoders" $(addprefix tests/, test_backend.py \
	test_operations.py test_rules.py test_layers.py \
	test_graph.py test_lrp.py test_decoders.py test_beam_search.py \
	test_captioner.py test_explain.py test_objective.py test_tensorboard_logs.py \
	test_devices.py::test_the_backend_is_asked_for_its_devices \
	test_train.py::test_the_files_of_a_run \
	test_train.py::test_the_captioner_of_a_run \
	test_train.py::test_a_killed_run_goes_on_exactly \
	test_lrp_inference.py::test_the_first_content_words_are_chosen)

.PHONY: help demo serve models metrics docs gallery notebooks test test-slow \
	test-jax test-torch lint bench

help:  ## Lists the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s :

.venv/installed: requirements.txt requirements-common.txt requirements-published.txt \
		requirements-web.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt \
		--requirement requirements-published.txt --requirement requirements-web.txt
	touch $@

.venv/installed-jax: requirements-jax-cpu.txt .venv/installed
	$(BIN)/python -m pip install --quiet --requirement requirements-jax-cpu.txt
	touch $@

.venv-torch/installed: requirements-torch.txt requirements-common.txt
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --requirement requirements-torch.txt
	touch $@

.venv/installed-docs: requirements-docs.txt .venv/installed
	$(BIN)/python -m pip install --quiet --requirement requirements-docs.txt
	touch $@

demo: .venv/installed  ## Captions and explains the example images.
	$(BIN)/python -m example_images --output explanations/photographs
	$(EXPLAIN) example_images/*.png --model scenes-adaptive-attention
	$(EXPLAIN) explanations/photographs/familiar/*.jpg \
		--model flickr8k-transformer-288,flickr8k-transformer
	$(EXPLAIN) explanations/photographs/unfamiliar/*.jpg --note \
		"Unlike the photographs it learned from; the report shows what misled it."

serve: .venv/installed  ## Serves a page that explains your photographs.
	$(BIN)/python -m web

models: .venv/installed  ## Lists the shipped captioners with their scores.
	$(BIN)/python -m models.pretrained

metrics: .venv/installed  ## Installs BERTScore, which needs PyTorch.
	$(BIN)/python -m pip install --quiet --requirement requirements-metrics.txt

docs: .venv/installed-docs  ## Writes the reference of the code to docs/api.
	$(BIN)/pdoc --docformat google --output-directory docs/api \
		keras_lrp keras_lrp.operations keras_lrp.rules models models.decoders \
		models.encoders report dataset dataset.images dataset.records \
		dataset.vocabulary scoring
	@echo docs/api/index.html

gallery: .venv/installed  ## Makes the pictures and the report of docs/ again.
	$(BIN)/python -m example_images.gallery --output docs
	PYTHONPATH=. $(BIN)/python tests/picture_pages.py --output docs

notebooks: .venv/installed-docs  ## Runs the notebooks; on few scenes with SMALL=1.
	$(BIN)/jupyter-execute docs/notebooks/*.ipynb

test: .venv/installed  ## Runs the tests on TensorFlow.
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-slow: .venv/installed  ## Runs what takes longest: whole trainings and experiments.
	$(BIN)/python -m pytest $(PARALLEL) -m slow

test-jax: .venv/installed-jax  ## Runs the tests on JAX.
	$(JAX) $(BIN)/python -m pytest $(PARALLEL) $(JAX_TESTS)

test-torch: .venv-torch/installed  ## Runs the main tests on torch, without TensorFlow.
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest $(PARALLEL) $(TORCH_TESTS)

lint: .venv/installed  ## Checks style and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/installed  ## Measures what the README reports.
	$(BIN)/python -m benchmarks.explanation
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.cold_start
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.captioners
	$(BIN)/python -m benchmarks.lrp_inference_step
	$(BIN)/python -m benchmarks.published
