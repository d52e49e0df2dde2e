"""Explains with zennit; runs in the environment of `requirements.txt`."""

import sys
from importlib.metadata import version
from types import ModuleType

import torch
from torch import nn

from comparisons.external_worker import Explain, answer

# zennit names two classes of torchvision, which is not needed otherwise.
STUB = ModuleType("torchvision.models.resnet")
STUB.BasicBlock = STUB.Bottleneck = type("Absent", (), {})
for name in ("torchvision", "torchvision.models", STUB.__name__):
    sys.modules[name] = STUB

from zennit.composites import LayerMapComposite  # noqa: E402
from zennit.rules import AlphaBeta, Pass, ZPlus  # noqa: E402
from zennit.types import Activation, Convolution  # noqa: E402

RULES = {"AlphaBeta": lambda: AlphaBeta(alpha=1.0, beta=0.0), "ZPlus": ZPlus}
CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each block; a max-pool lies between blocks


def prepare(method: str, weights, dtype: str) -> Explain:
    """Builds VGG16 and registers one rule for its convolutions."""
    model = vgg16(weights).to(getattr(torch, dtype))
    rules = [(Activation, Pass()), (Convolution, RULES[method]())]
    LayerMapComposite(rules).register(model)

    def explain(images, relevance):
        images, relevance = (
            torch.tensor(values, dtype=getattr(torch, dtype)).permute(0, 3, 1, 2)
            for values in (images, relevance)
        )
        images.requires_grad_()
        (result,) = torch.autograd.grad(model(images), images, relevance)
        return result.permute(0, 2, 3, 1).numpy()

    return explain


def vgg16(weights) -> nn.Sequential:
    """Builds VGG16 up to block5_conv3 from Keras' kernels and biases."""
    convolutions = iter(zip(weights[::2], weights[1::2], strict=True))
    layers = []
    for number in CONVOLUTIONS:
        for _ in range(number):
            layers += [convolution(*next(convolutions)), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers[:-1])


def convolution(kernel, bias) -> nn.Conv2d:
    """Builds one layer from a kernel (height, width, inputs, outputs)."""
    layer = nn.Conv2d(*kernel.shape[2:], kernel.shape[:2], padding="same")
    layer.weight.data = torch.tensor(kernel).permute(3, 2, 0, 1).contiguous()
    layer.bias.data = torch.tensor(bias)
    return layer


if __name__ == "__main__":
    answer(prepare, version("zennit"))
