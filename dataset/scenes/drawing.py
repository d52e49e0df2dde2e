"""The pixels of rendered scenes: painted backgrounds, drawn objects, masks."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from dataset.images import IMAGE_SIZE
from dataset.records import Box

OVERSAMPLING = 4  # objects are drawn larger by this factor and then reduced
OUTLINE = 0.03  # width as a share of the object's side

COLOURS = {
    "red": (214, 48, 42),
    "orange": (244, 138, 34),
    "yellow": (250, 212, 48),
    "green": (46, 158, 72),
    "blue": (46, 98, 214),
    "purple": (142, 68, 184),
    "white": (244, 244, 240),
    "black": (52, 52, 58),
}
_FIXED_TONES = {"wood": (124, 84, 52), "glass": (206, 230, 244), "tyre": (44, 44, 48)}


@dataclass(frozen=True)
class Placement:
    """Where an object stands: a square whose upper left pixel is (left, top)."""

    kind: str
    colour: str
    size: str
    left: int
    top: int
    side: int


class Part(NamedTuple):
    """A part of a kind of object; see KINDS."""

    shape: str
    tone: str
    coordinates: tuple[float, ...]
    angles: tuple[int, ...] = ()


def _star_points(outer: float, inner: float) -> tuple[float, ...]:
    """Returns the ten corners x, y, x, y ... of a star in the unit square."""
    angles = np.pi * np.arange(10) / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2 == 0, outer, inner)
    x, y = 0.5 + radii * np.cos(angles), 0.54 + radii * np.sin(angles)
    return tuple(np.stack([x, y], axis=1).round(4).ravel().tolist())


# A kind is a list of parts from back to front: (shape, tone, coordinates in the unit
# square, for some shapes angles in degrees). Tones are the object's colour ("base"),
# its mixtures with white or black ("light", "dark"), the same without an outline
# ("shine") or a fixed tone.
KINDS = {
    "ball": (
        ("ellipse", "base", (0.04, 0.04, 0.96, 0.96)),
        ("arc", "light", (-0.42, -0.1, 0.62, 1.1), (-46, 46)),
        ("arc", "light", (0.6, -0.1, 1.64, 1.1), (141, 219)),
        ("ellipse", "shine", (0.24, 0.15, 0.44, 0.31)),
    ),
    "box": (
        ("polygon", "base", (0.03, 0.32, 0.68, 0.32, 0.68, 0.97, 0.03, 0.97)),
        ("polygon", "light", (0.03, 0.32, 0.3, 0.06, 0.97, 0.06, 0.68, 0.32)),
        ("polygon", "dark", (0.68, 0.32, 0.97, 0.06, 0.97, 0.71, 0.68, 0.97)),
        ("polygon", "light", (0.29, 0.32, 0.42, 0.32, 0.42, 0.97, 0.29, 0.97)),
    ),
    "star": (
        ("polygon", "base", _star_points(0.52, 0.235)),
        ("polygon", "shine", _star_points(0.27, 0.125)),
    ),
    "tree": (
        ("polygon", "wood", (0.42, 0.8, 0.58, 0.8, 0.6, 0.98, 0.4, 0.98)),
        ("polygon", "dark", (0.5, 0.36, 0.88, 0.84, 0.12, 0.84)),
        ("polygon", "base", (0.5, 0.19, 0.81, 0.61, 0.19, 0.61)),
        ("polygon", "light", (0.5, 0.02, 0.73, 0.36, 0.27, 0.36)),
    ),
    "house": (
        ("polygon", "dark", (0.7, 0.08, 0.82, 0.08, 0.82, 0.4, 0.7, 0.4)),
        ("polygon", "base", (0.11, 0.42, 0.89, 0.42, 0.89, 0.97, 0.11, 0.97)),
        ("polygon", "dark", (0.5, 0.03, 0.99, 0.47, 0.01, 0.47)),
        ("polygon", "wood", (0.56, 0.6, 0.76, 0.6, 0.76, 0.97, 0.56, 0.97)),
        ("polygon", "glass", (0.21, 0.58, 0.44, 0.58, 0.44, 0.8, 0.21, 0.8)),
    ),
    "boat": (
        ("polygon", "wood", (0.47, 0.02, 0.52, 0.02, 0.52, 0.74, 0.47, 0.74)),
        ("polygon", "base", (0.54, 0.06, 0.92, 0.62, 0.54, 0.62)),
        ("polygon", "light", (0.45, 0.18, 0.45, 0.62, 0.14, 0.62)),
        ("polygon", "dark", (0.02, 0.7, 0.98, 0.7, 0.82, 0.96, 0.2, 0.96)),
    ),
    "kite": (
        ("line", "wood", (0.5, 0.66, 0.6, 0.74, 0.5, 0.81, 0.63, 0.89, 0.56, 0.98)),
        ("polygon", "base", (0.5, 0.02, 0.88, 0.32, 0.5, 0.7, 0.12, 0.32)),
        ("polygon", "light", (0.5, 0.02, 0.88, 0.32, 0.5, 0.32)),
        ("polygon", "dark", (0.5, 0.32, 0.5, 0.7, 0.12, 0.32)),
        ("polygon", "base", (0.46, 0.74, 0.7, 0.66, 0.7, 0.82)),
        ("polygon", "dark", (0.72, 0.88, 0.48, 0.81, 0.48, 0.96)),
    ),
    "car": (
        ("polygon", "base", (0.22, 0.52, 0.34, 0.24, 0.7, 0.24, 0.84, 0.52)),
        ("polygon", "glass", (0.31, 0.5, 0.385, 0.31, 0.49, 0.31, 0.49, 0.5)),
        ("polygon", "glass", (0.55, 0.31, 0.66, 0.31, 0.745, 0.5, 0.55, 0.5)),
        ("rounded", "base", (0.02, 0.47, 0.98, 0.77)),
        ("ellipse", "tyre", (0.13, 0.61, 0.39, 0.87)),
        ("ellipse", "tyre", (0.62, 0.61, 0.88, 0.87)),
        ("ellipse", "glass", (0.21, 0.69, 0.31, 0.79)),
        ("ellipse", "glass", (0.7, 0.69, 0.8, 0.79)),
    ),
    "cup": (
        ("ring", "dark", (0.56, 0.27, 0.97, 0.7)),
        ("polygon", "base", (0.06, 0.17, 0.76, 0.17, 0.67, 0.96, 0.15, 0.96)),
        ("ellipse", "dark", (0.06, 0.06, 0.76, 0.28)),
        ("polygon", "shine", (0.18, 0.36, 0.25, 0.38, 0.28, 0.84, 0.22, 0.84)),
    ),
    "umbrella": (
        ("line", "wood", (0.5, 0.05, 0.5, 0.9, 0.46, 0.95, 0.4, 0.95, 0.36, 0.88)),
        ("pie", "base", (0.02, 0.08, 0.98, 1.04), (180, 360)),
        ("pie", "light", (0.2, 0.08, 0.8, 1.04), (180, 360)),
        ("pie", "dark", (0.39, 0.08, 0.61, 1.04), (180, 360)),
    ),
}


def draw_scene(
    background: str, placements: Sequence[Placement], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paints a background and objects on it.

    Args:
        background: A key of BACKGROUNDS.
        placements: The N objects from back to front.
        rng: Draws the texture of the background.

    Returns:
        uint8 RGB pixels (224, 224, 3) and the bool masks (N, 224, 224) of the pixels
        in which each object is seen.
    """
    pixels = BACKGROUNDS[background].paint(rng) * rng.uniform(0.94, 1.06)
    pixels *= _light(placements, BACKGROUNDS[background].shadow)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
    masks = np.zeros((len(placements), IMAGE_SIZE, IMAGE_SIZE), bool)
    for index, placement in enumerate(placements):
        drawn = _draw_object(placement.kind, placement.colour, placement.side)
        image.paste(drawn, (placement.left, placement.top), drawn)
        covered = silhouette(placement)
        masks[:index] &= ~covered
        masks[index] = covered
    return np.asarray(image), masks


def silhouette(placement: Placement) -> np.ndarray:
    """Returns the bool pixels (224, 224) an object covers if nothing hides it."""
    covered = np.zeros((IMAGE_SIZE, IMAGE_SIZE), bool)
    bottom, right = placement.top + placement.side, placement.left + placement.side
    covered[placement.top : bottom, placement.left : right] = _object_silhouette(
        placement.kind, placement.side
    )
    return covered


@functools.cache
def _object_silhouette(kind: str, side: int) -> np.ndarray:
    drawn = _draw_object(kind, "white", side)
    return np.asarray(drawn)[..., 3] >= 128


def _draw_object(kind: str, colour: str, side: int) -> Image.Image:
    """Returns an RGBA square (side, side) with light falling from the upper left."""
    large = side * OVERSAMPLING
    tones = _tones(COLOURS[colour])
    image = Image.new("RGBA", (large, large), (*_mix(tones["base"], 0, 0.55), 0))
    draw = ImageDraw.Draw(image)
    for part in (Part(*values) for values in KINDS[kind]):
        points = [value * (large - 1) for value in part.coordinates]
        fill = tones[part.tone]
        outline = None if part.tone == "shine" else _mix(fill, 0, 0.5)
        angles = [part.angles] if part.angles else []
        _SHAPES[part.shape](draw, points, fill, outline, large, *angles)
    pixels = np.asarray(image.reduce(OVERSAMPLING)).astype("float32")
    steps = np.linspace(0.12, -0.12, side, dtype="float32")
    pixels[..., :3] *= (1.0 + steps[:, None] + steps[None, :])[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"), "RGBA")


def _tones(base: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    return {
        "base": base,
        "light": _mix(base, 255, 0.3),
        "shine": _mix(base, 255, 0.5),
        "dark": _mix(base, 0, 0.22),
        **_FIXED_TONES,
    }


def _mix(colour: tuple[int, int, int], other: int, share: float) -> tuple[int, ...]:
    return tuple(round(value + (other - value) * share) for value in colour)


def _ellipse(draw, points, fill, outline, large):
    draw.ellipse(points, fill, outline, round(OUTLINE * large))


def _polygon(draw, points, fill, outline, large):
    draw.polygon(points, fill, outline, round(OUTLINE * large))


def _rounded(draw, points, fill, outline, large):
    draw.rounded_rectangle(points, 0.12 * large, fill, outline, round(OUTLINE * large))


def _pie(draw, points, fill, outline, large, angles):
    draw.pieslice(points, *angles, fill, outline, round(OUTLINE * large))


def _arc(draw, points, fill, outline, large, angles):
    draw.arc(points, *angles, outline, round(OUTLINE * large))


def _ring(draw, points, fill, outline, large):
    draw.ellipse(points, None, outline, round(0.11 * large))
    inset = OUTLINE * large
    box = Box(*points)
    inner = [box.xmin + inset, box.ymin + inset, box.xmax - inset, box.ymax - inset]
    draw.ellipse(inner, None, fill, round(0.05 * large))


def _line(draw, points, fill, outline, large):
    draw.line(points, fill, round(1.4 * OUTLINE * large), joint="curve")


_SHAPES = {
    "ellipse": _ellipse,
    "polygon": _polygon,
    "rounded": _rounded,
    "pie": _pie,
    "arc": _arc,
    "ring": _ring,
    "line": _line,
}


def _light(placements: Sequence[Placement], shadow: float) -> np.ndarray:
    """Returns the share of light (224, 224, 1) that objects leave on the ground."""
    y, x = np.arange(IMAGE_SIZE)[:, None], np.arange(IMAGE_SIZE)[None, :]
    light = np.ones((IMAGE_SIZE, IMAGE_SIZE), "float32")
    for placement in placements:
        side = placement.side
        down = (y - placement.top - 0.98 * side) / (0.08 * side)
        across = (x - placement.left - 0.56 * side) / (0.55 * side)
        light *= 1 - shadow * np.clip(1 - down**2 - across**2, 0, 1)
    return light[..., None]


def _gradient(top: tuple[int, ...], bottom: tuple[int, ...]) -> np.ndarray:
    """Returns float32 pixels (224, 224, 3) that change from top to bottom."""
    share = np.linspace(0, 1, IMAGE_SIZE, dtype="float32")[:, None, None]
    rows = (1 - share) * np.asarray(top, "float32") + share * np.asarray(bottom)
    return np.repeat(rows.astype("float32"), IMAGE_SIZE, axis=1)


def _noise(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Returns smooth noise (224, 224, 1) about in [-1, 1] from a coarse random grid."""
    grid = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype("float32"))
    smooth = grid.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(smooth)[..., None]


def _grass(rng: np.random.Generator) -> np.ndarray:
    pixels = _gradient((134, 186, 84), (84, 142, 52))
    blades = 12 * _noise(rng, 36, 112) + 9 * _noise(rng, 60, 200)
    return pixels + 12 * _noise(rng, 6, 6) + blades


def _sand(rng: np.random.Generator) -> np.ndarray:
    pixels = _gradient((240, 216, 164), (220, 188, 130))
    y = np.arange(IMAGE_SIZE)[:, None, None] / 16
    ripples = np.sin(2 * np.pi * (y + 0.9 * _noise(rng, 5, 4)))
    return pixels + 5 * ripples + 6 * _noise(rng, 5, 5) + 5 * _noise(rng, 200, 200)


def _snow(rng: np.random.Generator) -> np.ndarray:
    pixels = _gradient((240, 245, 252), (218, 230, 244))
    drifts = 11 * _noise(rng, 7, 3) + 5 * _noise(rng, 16, 9)
    return pixels + drifts * (1.2, 1.0, 0.6) + 3 * _noise(rng, 200, 200)


def _water(rng: np.random.Generator) -> np.ndarray:
    pixels = _gradient((112, 186, 214), (34, 112, 168))
    waves = _noise(rng, 40, 9) + 0.6 * _noise(rng, 80, 20)
    crests = np.clip(waves - 0.55, 0, 1)
    return pixels + 13 * waves + 60 * crests


def _night(rng: np.random.Generator) -> np.ndarray:
    pixels = _gradient((12, 16, 48), (52, 46, 104)) + 9 * _noise(rng, 5, 5)
    rows, columns = rng.integers(0, IMAGE_SIZE, (2, 90))
    pixels[rows, columns] += rng.uniform(40, 190, (90, 1))
    return pixels


def _wood(rng: np.random.Generator) -> np.ndarray:
    pixels = _gradient((200, 152, 104), (178, 128, 82))
    y = np.arange(IMAGE_SIZE) + rng.integers(0, 37)
    plank = rng.uniform(-13, 13, 8)[y // 37][:, None, None]
    seam = np.where(y % 37 < 2, -46, 0)[:, None, None]
    grain = 9 * _noise(rng, 112, 5) + 5 * _noise(rng, 200, 16)
    return pixels + plank + seam + grain


@dataclass(frozen=True)
class Background:
    """How a background is painted and what is not seen well on it.

    Attributes:
        paint: Returns float32 RGB pixels (224, 224, 3) about in [0, 255].
        hidden_colours: Colours of COLOURS too close to the background's own.
        shadow: Share of light that an object takes from the ground at its foot.
    """

    paint: Callable[[np.random.Generator], np.ndarray]
    hidden_colours: tuple[str, ...]
    shadow: float = 0.45


BACKGROUNDS = {
    "grass": Background(_grass, ("green",)),
    "sand": Background(_sand, ("yellow", "orange", "white")),
    "snow": Background(_snow, ("white",), shadow=0.3),
    "water": Background(_water, ("blue",), shadow=0.35),
    "night": Background(_night, ("black", "blue", "purple"), shadow=0.0),
    "wood": Background(_wood, ("orange",)),
}
