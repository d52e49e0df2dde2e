"""The vision Transformer: patches of a photograph as tokens.

Source: Dosovitskiy et al. 2021 (arXiv 2010.11929), section 3.1.
"""

import keras
from keras import ops

from keras_lrp import Operations
from models.transformer.block import Block, BlockSizes
from models.transformer.layers import dense, kernel_and_bias, layer_norm, normalize


class VisionTransformer(keras.Model):
    """Turns pixels into a class token and a token for each patch.

        x = [class; patches W + b] + places      block after block      norm

    Args:
        sizes: Of the blocks.
        image_size: Height and width of the input in pixels.
        patch_size: Divides them.
        patch_bias: Whether the patches' layer has a bias.
        norms_input: Whether the tokens are normalized before the first block (CLIP).
    """

    def __init__(
        self,
        sizes: BlockSizes,
        image_size: int,
        patch_size: int,
        patch_bias: bool = True,
        norms_input: bool = False,
    ):
        super().__init__(name="encoder")
        if image_size % patch_size:
            raise ValueError(
                f"Patches of {patch_size} pixels must divide the image; received "
                f"images of {image_size} pixels."
            )
        self.sizes, self.image_size, self.patch_size = sizes, image_size, patch_size
        self.grid = (image_size // patch_size,) * 2
        size, epsilon = sizes.size, sizes.norm_epsilon
        self.patches = dense(3 * patch_size**2, size, "patches", patch_bias)
        self.class_token = self.add_weight(shape=(1, 1, size), name="class_token")
        num_tokens = 1 + self.grid[0] * self.grid[1]
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
            Tokens (B, 1 + h w, D), the class token first, and the attention weights
            of each block, (B, 1 + h w, 1 + h w) each.
        """
        x = _cut_patches(pixels, self.patch_size)
        x = operations.patches(x, *kernel_and_bias(self.patches))
        batch, _, size = ops.shape(x)
        first = ops.broadcast_to(self.class_token, (batch, 1, size))
        x = operations.sum(ops.concatenate([first, x], axis=1) + self.places)
        if self.input_norm is not None:
            x = normalize(operations, self.input_norm, x)
        attention = []
        for block in self.blocks:
            x, weights = block.attend_self(operations, x, lambda own: own)
            x = block.think(operations, x)
            attention.append(weights)
        return normalize(operations, self.output_norm, x), attention


def _cut_patches(pixels, size: int):
    """Cuts (B, H, W, C) into patches (B, h w, size size C), row by row."""
    batch, height, width, channels = ops.shape(pixels)
    grid = (height // size, width // size)
    x = ops.reshape(pixels, (batch, grid[0], size, grid[1], size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (batch, grid[0] * grid[1], size * size * channels))
