"""Times plain passes of a captioner in PyTorch; runs in the library's environment."""

import json
import resource
import sys
from importlib.metadata import version

import numpy as np
import torch
import transformers

from benchmarks import measured, peak_memory
from comparisons.transformers.worker import FAMILIES, gradients

TEXT_AND_VISION = {  # the names of both parts in config.json, "" for the whole
    "blip": ("text_config", "vision_config"),
    "git": ("", "vision_config"),
    "vision-encoder-decoder": ("decoder", "encoder"),
}


def build(family: str, settings: dict):
    """Builds a model with random weights.

    Args:
        family: A key of FAMILIES.
        settings: As config.json has them.
    """
    torch.manual_seed(0)
    parts = []
    for name in TEXT_AND_VISION[family]:
        part = dict(settings.get(name, {}) if name else settings)
        part.pop("model_type", None)
        parts.append(part)
    return FAMILIES[family](*parts).eval().requires_grad_(False)


def main() -> None:
    """Answers the wall and processor seconds."""
    given, result, family, settings = sys.argv[1:]
    transformers.logging.set_verbosity_error()
    num_words = int(np.load(given)["words"])
    model = build(family, json.loads(settings))
    vision = getattr(model.config, "encoder", None) or model.config.vision_config
    pixels = torch.randn(1, 3, vision.image_size, vision.image_size)
    tokens = torch.randint(3, 30000, (num_words,))
    seconds = measured(lambda: gradients(model, family, pixels, tokens, tokens))
    names = ("transformers", "torch")
    np.savez(
        result,
        seconds=np.array(seconds),
        peak=np.array(peak_memory(resource.RUSAGE_SELF)),
        version=np.array(", ".join(f"{name} {version(name)}" for name in names)),
    )


if __name__ == "__main__":
    main()
