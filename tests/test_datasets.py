"""The records of the datasets, and what the datasets' room may import."""

import ast
from pathlib import Path

import pytest

from config import Config
from dataset import DATASETS, Dataset
from dataset.flickr import FLICKR30K

ROOT = Path(__file__).parents[1]
ROOMS = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {
    path.stem for path in ROOT.glob("*.py")
}
ALLOWED = {
    "dataset": {"config", "dataset", "files", "keras_lrp", "quiet_start", "stopping"},
    "evaluation": {"dataset", "evaluation"},
}


def test_presets_are_named_after_their_datasets():
    for name, dataset in DATASETS.items():
        assert dataset.name == dataset.preset.dataset == name


def test_a_preset_of_another_dataset_is_refused():
    with pytest.raises(ValueError, match=r"preset of mnist .*received 'flickr30k'"):
        Dataset("mnist", list, FLICKR30K.source, Config(), (), {})


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_no_other(room):
    """But for a module that is a script, which may read the command line."""
    for path in (ROOT / room).rglob("*.py"):
        is_script = '__name__ == "__main__"' in path.read_text("utf-8")
        scripts = {"command_line", "quiet_start"} if is_script else set()
        assert imported(path) & ROOMS <= ALLOWED[room] | scripts, path


def imported(path: Path) -> set[str]:
    """Returns the first names of what a module imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    return {name.partition(".")[0] for name in names}
