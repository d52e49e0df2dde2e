"""The vision Transformer: patches of a photograph as tokens.

Published captioners have one each, and `ENCODERS` a small one that is trained here.

Source: Dosovitskiy et al. 2021 (arXiv 2010.11929), section 3.1.
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_lrp import Operations
from models.transformer.block import Block, BlockSizes
from models.transformer.layers import dense, kernel_and_bias, layer_norm, normalize

SMALL = BlockSizes(size=128, heads=4, inner=256, depth=4, norm_first=True)
SMALL_PATCH = 16
PERIOD = 100.0  # of the slowest wave of the places, in patches over 2 pi


class VisionTransformer(keras.Model):
    """Turns pixels into a token for each patch, and a class token before them.

        x = [class; patches W + b] + places      block after block      norm

    Args:
        sizes: Of the blocks.
        image_size: Height and width of the input in pixels.
        patch_size: Divides them.
        patch_bias: Whether the patches' layer has a bias.
        norms_input: Whether the tokens are normalized before the first block (CLIP).
        has_class_token: Whether the class token is there.
        name: Of the network.
    """

    def __init__(
        self,
        sizes: BlockSizes,
        image_size: int,
        patch_size: int,
        patch_bias: bool = True,
        norms_input: bool = False,
        has_class_token: bool = True,
        name: str = "encoder",
    ):
        super().__init__(name=name)
        if image_size % patch_size:
            raise ValueError(
                f"Patches of {patch_size} pixels must divide the image; received "
                f"images of {image_size} pixels."
            )
        self.sizes, self.image_size, self.patch_size = sizes, image_size, patch_size
        self.grid = (image_size // patch_size,) * 2
        size, epsilon = sizes.size, sizes.norm_epsilon
        self.patches = dense(3 * patch_size**2, size, "patches", patch_bias)
        num_tokens, self.class_token = self.grid[0] * self.grid[1], None
        if has_class_token:
            num_tokens += 1
            self.class_token = self.add_weight(shape=(1, 1, size), name="class_token")
        self.places = self.add_weight(shape=(1, num_tokens, size), name="places")
        self.input_norm = None
        if norms_input:
            self.input_norm = layer_norm(size, epsilon, "input_norm")
        self.blocks = [Block(sizes, name=f"block_{i}") for i in range(sizes.depth)]
        self.output_norm = layer_norm(size, epsilon, "output_norm")
        self.built = True

    def call(self, pixels, training=False):
        return self.run(Operations(), pixels)[0]

    def run(self, operations: Operations, pixels) -> tuple:
        """Computes the tokens in an interpretation.

        Args:
            operations: The interpretation.
            pixels: Preprocessed (B, H, W, 3).

        Returns:
            Tokens (B, L, D), and the attention weights of each block, (B, L, L) each.
            L = h w, or 1 + h w with the class token, which comes first.
        """
        x = _cut_patches(pixels, self.patch_size)
        x = operations.patches(x, *kernel_and_bias(self.patches))
        if self.class_token is not None:
            batch, _, size = ops.shape(x)
            first = ops.broadcast_to(self.class_token, (batch, 1, size))
            x = ops.concatenate([first, x], axis=1)
        x = operations.sum(x + self.places)
        if self.input_norm is not None:
            x = normalize(operations, self.input_norm, x)
        attention = []
        for block in self.blocks:
            x, weights = block.attend_self(operations, x, lambda own: own)
            x = block.think(operations, x)
            attention.append(weights)
        return normalize(operations, self.output_norm, x), attention

    def get_config(self) -> dict:
        """Returns what tells its architecture from others."""
        return {
            "name": self.name,
            "sizes": dataclasses.asdict(self.sizes),
            "image_size": self.image_size,
            "patch_size": self.patch_size,
            "patch_bias": self.patches.use_bias,
            "norms_input": self.input_norm is not None,
            "has_class_token": self.class_token is not None,
        }


def build_small(
    include_top: bool = False,
    weights: str | Path | None = None,
    input_shape: tuple[int, int, int] = (224, 224, 3),
) -> keras.Model:
    """Builds a small vision Transformer as the constructors of `keras.applications` do.

    Its tokens lie in a grid, without a class token.

    Args:
        include_top: It has no classifier.
        weights: None for random ones, or a file that Keras wrote of this network.
        input_shape: Of square images, which are pixels / 127.5 - 1, RGB.

    Raises:
        ValueError: A classifier or ImageNet's weights are asked for.
    """
    if include_top or weights == "imagenet":
        raise ValueError(
            "The vision Transformer has no classifier and no published weights. Begin "
            "with random ones: --encoder-weights none."
        )
    transformer = VisionTransformer(
        SMALL,
        input_shape[0],
        SMALL_PATCH,
        has_class_token=False,
        name="vision_transformer",
    )
    transformer.places.assign(wave_places(transformer.grid, SMALL.size))
    inputs = keras.Input(input_shape)
    grid = keras.layers.Reshape((*transformer.grid, SMALL.size), name="grid")
    model = keras.Model(inputs, grid(transformer(inputs)))
    if weights is not None:
        model.load_weights(weights)
    return model


def wave_places(grid: tuple[int, int], size: int) -> np.ndarray:
    """Returns places that tell neighbours from the first: sines and cosines.

        [sin(y w), cos(y w), sin(x w), cos(x w)],  w_k = PERIOD ** (-4 k / size)

    Args:
        grid: Rows and columns of patches.
        size: D, a multiple of 4.

    Returns:
        (1, h w, D), row by row.

    Source: Vaswani et al. 2017, section 3.5, for both axes; from them a small vision
    Transformer learns sooner (Beyer et al. 2022, arXiv 2205.01580).
    """
    rates = PERIOD ** (-4 * np.arange(size // 4) / size)
    axes = np.meshgrid(*map(np.arange, grid), indexing="ij")
    angles = [axis.reshape(-1, 1) * rates for axis in axes]  # (h w, D / 4)
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.concatenate(waves, axis=1)[None].astype("float32")


def find_transformer(encoder: keras.Model) -> VisionTransformer | None:
    """Returns the vision Transformer that an encoder is or holds, if any."""
    if isinstance(encoder, VisionTransformer):
        return encoder
    held = (layer for layer in encoder.layers if isinstance(layer, VisionTransformer))
    return next(held, None)


def _cut_patches(pixels, size: int):
    """Cuts (B, H, W, C) into patches (B, h w, size size C), row by row."""
    batch, height, width, channels = ops.shape(pixels)
    grid = (height // size, width // size)
    x = ops.reshape(pixels, (batch, grid[0], size, grid[1], size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (batch, grid[0] * grid[1], size * size * channels))
