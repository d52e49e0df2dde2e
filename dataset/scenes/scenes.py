"""Rendered scenes: a dataset with exact boxes and masks that needs no download.

DATA_DIR/images/<image id>.jpg            the Flickr layout, see dataset.flickr
DATA_DIR/text/scenes.token.txt
DATA_DIR/text/scenes.<split>Images.txt
DATA_DIR/objects/<image id>.json          background, mask file, objects
DATA_DIR/objects/<image id>.png           index of the object seen + 1, or 0
DATA_DIR/scenes.json                      the parameters it was rendered with
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from config import Config
from dataset.flickr import read_flickr
from dataset.images import IMAGE_SIZE
from dataset.masks import compress
from dataset.problems import DatasetError
from dataset.progress import progress
from dataset.records import (
    Box,
    CaptionedImage,
    Dataset,
    ObjectBox,
    Source,
    share_of_image,
)
from dataset.scenes.captions import SceneObject, plural, write_captions
from dataset.scenes.drawing import KINDS, draw_scene
from dataset.scenes.layout import Bias, compose
from dataset.splits import SPLITS
from files import values
from files.messages import DAMAGE, FileError, reason_of
from files.reading import read_json
from files.writing import whole_folder, write_lines

SOURCE = Source(*["python -m dataset.scenes --output DIR"] * 4)
VERSION = 1  # raised whenever the same seed gives another scene
MAX_IMAGES = 1_000_000  # of one split; keeps the seeds of the splits apart
ANEW = "Delete the folder and render it anew."
_OBJECT = dict.fromkeys(("kind", "colour", "size"), values.filled)
_OBJECT["box"] = values.items(values.number, least=4, most=4)
FACTS = values.record({"objects": values.items(values.record(_OBJECT), least=1)})
_MASK_PALETTE = (0, 0, 0, 230, 60, 60, 60, 160, 230, 250, 210, 60, 90, 190, 90)


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered image and everything that is known of it.

    Attributes:
        image: uint8 RGB pixels (224, 224, 3).
        captions: Lower-case captions of at most 20 words, one for each wording.
        background: A key of `drawing.BACKGROUNDS`.
        objects: Two to four objects from back to front.
    """

    image: np.ndarray
    captions: tuple[str, ...]
    background: str
    objects: tuple[SceneObject, ...]


def render_scene(
    seed: int,
    kinds: Sequence[str] | None = None,
    background: str | None = None,
    wordings: Sequence[str] | None = None,
) -> Scene:
    """Renders one scene; the same arguments give the same scene everywhere.

    Args:
        seed: Any whole number from 0.
        kinds: The kinds of the objects; see `compose`.
        background: See `compose`.
        wordings: Of the captions, see `write_captions`; the picture is the same.
    """
    rng = np.random.default_rng(seed)
    background, placements = compose(rng, kinds, background)
    image, masks = draw_scene(background, placements, rng)
    objects = tuple(
        SceneObject(place.kind, place.colour, place.size, tight_box(mask), mask)
        for place, mask in zip(placements, masks, strict=True)
    )
    captions = write_captions(background, objects, rng, wordings)
    return Scene(image, captions, background, objects)


def tight_box(mask: np.ndarray) -> Box:
    """Returns the smallest box of a mask (224, 224), as shares of the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return Box(*(int(edge) / IMAGE_SIZE for edge in edges))


def write_scenes(
    data_dir: str | Path,
    num_images: Mapping[str, int],
    seed: int = 0,
    bias: Bias | None = None,
    wordings: Sequence[str] | None = None,
) -> Path:
    """Renders a dataset in the Flickr layout, or keeps it if it is there already.

    Args:
        data_dir: A new or empty folder, or one written with the same arguments.
        num_images: How many images each split of SPLITS has. A split's first images
            do not depend on these numbers.
        seed: Datasets with different seeds share no scene.
        bias: What goes with what; by default nothing does.
        wordings: Of the captions, see `write_captions`.

    Returns:
        The folder. It appears whole or not at all.

    Raises:
        DatasetError: The folder holds other files or scenes, or is a file.
        ValueError: A split is unknown or its number of images is out of range.
    """
    chosen = {}
    if bias is not None:
        chosen["bias"] = dataclasses.asdict(bias)
    if wordings is not None:
        chosen["wordings"] = list(wordings)

    def write(folder: Path, num_images: Mapping[str, int]) -> None:
        _write_splits(folder, num_images, seed, bias, wordings)

    drawn = {"version": VERSION, "seed": seed}
    return render_whole(data_dir, num_images, drawn, chosen, write)


def render_whole(
    data_dir: str | Path,
    num_images: Mapping[str, int],
    drawn: Mapping,
    chosen: Mapping,
    write: Callable[[Path, Mapping[str, int]], None],
) -> Path:
    """Renders into a folder, or keeps it if it is there already.

    Args:
        data_dir: See `write_scenes`.
        num_images: See `write_scenes`.
        drawn: The version and the seed.
        chosen: All else that the pictures depend on.
        write: Fills a folder with these numbers of images.

    Returns:
        The folder. It appears whole or not at all.

    Raises:
        DatasetError: The folder holds other files or scenes, or is a file.
        ValueError: A split is unknown or its number of images is out of range.
    """
    data_dir = Path(data_dir).absolute()
    check_num_images(num_images)
    num_images = {split: num_images[split] for split in SPLITS if split in num_images}
    parameters = {**drawn, "num_images": num_images, **chosen}
    if _is_written(data_dir, parameters):
        return data_dir
    with whole_folder(data_dir) as part:
        write(part, num_images)
        (part / "scenes.json").write_text(json.dumps(parameters) + "\n", "utf-8")
    return data_dir


def check_num_images(num_images: Mapping[str, int]) -> None:
    """Refuses unknown splits and numbers of images out of range."""
    for split, number in num_images.items():
        if split not in SPLITS or not 1 <= number <= MAX_IMAGES:
            raise ValueError(
                f"num_images expects numbers from 1 to {MAX_IMAGES:,} for splits of "
                f"{', '.join(SPLITS)}; received {split!r}: {number!r}."
            )
    if not num_images:
        raise ValueError("num_images is empty; expected such as {'train': 800}.")


def _is_written(data_dir: Path, parameters: dict) -> bool:
    """Tells whether a folder holds the scenes of these parameters.

    Raises:
        DatasetError: It holds others, or is no folder for scenes.
    """
    if data_dir.is_file():
        raise DatasetError(f"{data_dir} is a file; expected a new or empty folder.")
    if not data_dir.is_dir() or not any(data_dir.iterdir()):
        return False
    path = data_dir / "scenes.json"
    if not path.is_file():
        raise DatasetError(
            f"{data_dir} holds files but no scenes.json; expected a new or empty "
            "folder, or rendered scenes. Choose another folder."
        )
    found = path.read_text("utf-8").strip()
    if found != json.dumps(parameters):
        raise DatasetError(
            f"{data_dir} holds scenes rendered with other parameters: expected "
            f"{json.dumps(parameters)}, found {found}. Choose another folder, or "
            "delete this one to render it anew."
        )
    return True


def _write_splits(
    folder: Path,
    num_images: Mapping[str, int],
    seed: int,
    bias: Bias | None,
    wordings: Sequence[str] | None,
) -> None:
    for name in ("images", "objects", "text"):
        (folder / name).mkdir(parents=True)
    lines = []
    with progress(total=sum(num_images.values()), desc="Rendering scenes") as bar:
        for split, number in num_images.items():
            names = []
            for index in range(number):
                own_seed = scene_seed(split, index, seed)
                chosen = (None, None) if bias is None else bias.choose(split, own_seed)
                scene = render_scene(own_seed, *chosen, wordings)
                name = write_scene(folder, f"{split}_{index:06d}", scene)
                names.append(name)
                lines += [f"{name}#{k}\t{c}" for k, c in enumerate(scene.captions)]
                bar.update()
            write_lines(folder / f"text/scenes.{split}Images.txt", names)
    write_lines(folder / "text/scenes.token.txt", lines)


def scene_seed(split: str, index: int, seed: int) -> int:
    """Returns the seed of a split's scene; no two scenes of any dataset share one."""
    return (seed * len(SPLITS) + SPLITS.index(split)) * MAX_IMAGES + index


def write_scene(folder: Path, image_id: str, scene: Scene) -> str:
    """Writes the files of one scene and returns the name of its image file."""
    name = f"{image_id}.jpg"
    save_image(folder / "images" / name, scene)
    indices = np.zeros((IMAGE_SIZE, IMAGE_SIZE), "uint8")
    for index, object_ in enumerate(scene.objects):
        indices[object_.mask] = index + 1
    masks = Image.fromarray(indices)
    masks.putpalette(_MASK_PALETTE)
    masks.save(folder / "objects" / f"{image_id}.png")
    facts = {
        "background": scene.background,
        "mask": f"{image_id}.png",
        "objects": [
            {"kind": o.kind, "colour": o.colour, "size": o.size, "box": o.box}
            for o in scene.objects
        ],
    }
    path = folder / "objects" / f"{image_id}.json"
    path.write_text(json.dumps(facts) + "\n", "utf-8")
    return name


def save_image(path: Path, scene: Scene) -> None:
    """Writes the picture of a scene as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene.image).save(path, quality=95)


def read_scenes(
    data_dir: str | Path, split: str, with_objects: bool = False
) -> list[CaptionedImage]:
    """Reads a split written by `write_scenes`, with the objects if they are asked for.

    Raises:
        DatasetError: The folder holds no rendered scenes or files are missing.
    """
    data_dir = Path(data_dir)
    if not (data_dir / "scenes.json").is_file():
        raise DatasetError(
            f"{data_dir} holds no rendered scenes (no scenes.json). "
            f"Render them: python -m dataset.scenes --output {data_dir}"
        )
    images = read_flickr(data_dir, split, source=SOURCE)
    if not with_objects:
        return images
    return [dataclasses.replace(image, objects=_objects_of(image)) for image in images]


def read_parts(image: CaptionedImage) -> np.ndarray:
    """Returns what each pixel (224, 224) of a rendered scene shows.

    It is the number of an object in its scene, counted from 1, or 0 for the
    background.

    Raises:
        DatasetError: The file is missing or damaged.
    """
    path = _objects_path(image, ".png")
    try:
        with Image.open(path, formats=("PNG",)) as masks:
            if masks.mode != "P" or masks.size != (IMAGE_SIZE, IMAGE_SIZE):
                raise ValueError(f"it is {masks.mode} of {masks.size} pixels")
            return np.asarray(masks)
    except DAMAGE as error:
        raise DatasetError(f"{path} is damaged ({reason_of(error)}). {ANEW}") from error


def _objects_of(image: CaptionedImage) -> tuple[ObjectBox, ...]:
    path = _objects_path(image, ".json")
    try:
        facts, parts = read_json(path, FACTS, ANEW), read_parts(image)
        return tuple(
            ObjectBox(
                _phrases(o["kind"], o["colour"], o["size"]),
                share_of_image(o["box"], 1, 1),
                compress(parts == number),
            )
            for number, o in enumerate(facts["objects"], start=1)
        )
    except FileError as error:
        raise DatasetError(str(error)) from error
    except ValueError as error:
        raise DatasetError(f"{path} is damaged ({error}). {ANEW}") from error


def _phrases(kind: str, colour: str, size: str) -> tuple[str, ...]:
    return (kind, plural(kind), f"{colour} {kind}", f"{size} {colour} {kind}")


def _objects_path(image: CaptionedImage, suffix: str) -> Path:
    path = image.path.parent.parent / "objects" / f"{image.image_id}{suffix}"
    if not path.is_file():
        raise DatasetError(f"{path} is missing. {ANEW}")
    return path


SCENES = Dataset(
    name="scenes",
    read=read_scenes,
    source=SOURCE,
    preset=Config(
        dataset="scenes",
        min_word_count=1,
        embedding_size=128,
        hidden_size=128,
        feature_scale=0.05,
        learning_rate=2e-3,
        schedule="cosine",
        warmup_steps=20,
        epochs=8,
        clip_value=0.0,
    ),
    frequent_words=(*KINDS, *map(plural, KINDS)),
    object_names=dict.fromkeys(KINDS, ""),
    captions_tell_sides=True,
)
