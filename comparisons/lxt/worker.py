"""Explains random captioners with lxt; runs in the environment of `requirements.txt`.

lxt has maps of patches for the attention of ViT and GPT-2, for layer norms and for
activations; they are taken as they are. It has none for the attention of BLIP and of
GIT's text: there lxt's rule of a product, whose factors take half each, is put on the
queries, keys and values, where lxt puts it in its own attention.
"""

import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import transformers
from torch import nn
from transformers import activations
from transformers.models.blip.modeling_blip import BlipAttention
from transformers.models.blip.modeling_blip_text import BlipTextSelfAttention
from transformers.models.git import modeling_git
from transformers.models.git.modeling_git import GitSelfAttention
from transformers.models.gpt2 import modeling_gpt2
from transformers.models.vit import modeling_vit

from comparisons.transformers.worker import FAMILIES, TOKENS, build_tiny, gradients

# lxt names one module of torchvision, which is not needed otherwise.
STUB = ModuleType("torchvision.models")
STUB.vision_transformer = ModuleType("torchvision.models.vision_transformer")
STUB.vision_transformer.nn = nn
sys.modules |= {"torchvision": ModuleType("torchvision"), "torchvision.models": STUB}

from lxt.efficient import monkey_patch  # noqa: E402
from lxt.efficient.patches import (  # noqa: E402
    layer_norm_forward,
    non_linear_forward,
    patch_attention,
    patch_method,
)
from lxt.efficient.rules import divide_gradient  # noqa: E402

NON_LINEAR = partial(patch_method, non_linear_forward, keep_original=True)
PATCHES = {
    nn.LayerNorm: partial(patch_method, layer_norm_forward),
    activations.GELUActivation: NON_LINEAR,
    activations.NewGELUActivation: NON_LINEAR,
    activations.QuickGELUActivation: NON_LINEAR,
    modeling_vit: patch_attention,
    modeling_gpt2: patch_attention,
    modeling_git: patch_attention,  # that of the image
}
SHARES = {"query": 4, "key": 4, "value": 2}  # two products divide by 2 each


def patch_other_attention(model: nn.Module) -> None:
    """Puts the rule on the attention that lxt has no map for."""
    for module in model.modules():
        if isinstance(module, (BlipTextSelfAttention, GitSelfAttention)):
            for name, share in SHARES.items():
                getattr(module, name).register_forward_hook(divider(share))
        if isinstance(module, BlipAttention):  # one layer makes all three
            module.qkv.register_forward_hook(divide_three)


def divider(share: int):
    """Returns a hook that divides the relevance of what a layer puts out."""
    return lambda layer, inputs, output: divide_gradient(output, share)


def divide_three(layer, inputs, output):
    """Divides the relevance of queries, keys and values in one array."""
    parts = output.chunk(3, dim=-1)
    divided = [
        divide_gradient(*pair) for pair in zip(parts, SHARES.values(), strict=True)
    ]
    return torch.cat(divided, dim=-1)


def relevance(model, family: str, pixels, read, written) -> dict[str, np.ndarray]:
    """Explains every token of a caption; see `gradients`.

    Returns:
        The logits (T, V), and the relevance of pixels (T, H, W, 3) and words (T, T).
    """
    logits, (pixels, words), slopes = gradients(model, family, pixels, read, written)
    of_pixels = torch.cat([pixels * of_pixels for of_pixels, _ in slopes])
    of_words = torch.cat([words * of_words for _, of_words in slopes])
    return {
        "logits": logits.numpy(),
        "pixels": of_pixels.permute(0, 2, 3, 1).numpy(),
        "words": of_words.sum(-1).numpy(),
    }


def main() -> None:
    """Writes models of each family, and what lxt says about a picture."""
    given, result, folder = sys.argv[1:]
    given, answer = np.load(given), {}
    transformers.logging.set_verbosity_error()
    monkey_patch(None, PATCHES)
    for family in FAMILIES:
        for seed in range(int(given["count"])):
            model = build_tiny(family, seed)
            patch_other_attention(model)
            name = f"{family}-{seed}"
            model.save_pretrained(Path(folder) / name)
            pixels = torch.randn(1, 3, 32, 32)
            written = torch.randint(2, 98, (TOKENS,))
            read = torch.cat([torch.tensor([int(given["start"])]), written[:-1]])
            answer[f"{name}.input"] = pixels.permute(0, 2, 3, 1).numpy()
            answer[f"{name}.tokens"] = written.numpy()
            for dtype in ("float32", "float64"):
                precise = getattr(torch, dtype)
                found = relevance(
                    model.to(precise), family, pixels.to(precise), read, written
                )
                answer |= {f"{name}.{dtype}.{key}": v for key, v in found.items()}
    names = ("lxt", "transformers", "torch")
    answer["versions"] = np.array([f"{name} {version(name)}" for name in names])
    np.savez(result, **answer)


if __name__ == "__main__":
    main()
