"""Imports point one way, and two files alone name a backend."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RANKS = (  # a room may import those of the rows above its own
    ("keras_lrp", "pycocoevalcap", "files", "stopping"),
    ("config", "streams"),
    ("command_line", "quiet_start"),
    ("dataset",),
    ("evaluation",),
    ("models",),
    ("training", "report"),
    ("scoring",),
    ("scripts",),
    ("benchmarks",),
    ("experiments", "comparisons", "example_images"),
    ("web",),
)
BELOW_MODELS = (*RANKS[0], *RANKS[1], *RANKS[2], *RANKS[3])
DOOR = ("models/explainers/shown.py", "report")  # the one import that points up
RANK_OF = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
BACKENDS = re.compile(r"\b(tensorflow|jax|torch)\b")
NAMES_BACKENDS = (
    "keras_lrp/backend.py",
    "training/devices.py",
    "pycocoevalcap/",  # BERTScore runs on PyTorch, whatever the backend is
    "comparisons/",  # other libraries run on theirs
    "models/published/torch_file.py",  # a format of files, read without PyTorch
    "models/published/array_files.py",  # imports it
    "experiments/robustness/array_kinds.py",  # writes it
)


def list_files() -> list[Path]:
    """All modules but the tests and those of environments, relative to ROOT."""
    found = (path.relative_to(ROOT) for path in sorted(ROOT.rglob("*.py")))
    left_out = ("tests", "cache", "runs", "shared")
    return [
        path
        for path in found
        if path.parts[0] not in left_out
        and not any(part.startswith(".") for part in path.parts)
    ]


FILES = list_files()
TREES = {path: ast.parse((ROOT / path).read_text("utf-8")) for path in FILES}


def room_of(path: Path) -> str:
    """The room a module lies in; what only starts a command is a script."""
    if path.name == "__main__.py":
        has_rank = path.parts[0] in (*RANKS[-2], *RANKS[-1])
        return room_of(path.parent) if has_rank else "scripts"
    if len(path.parts) > 1:
        return path.parts[0]
    return path.stem if path.stem in RANK_OF else "scripts"


def is_ours(module: str) -> bool:
    """Whether the name is one of a module of the project."""
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imports(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports anywhere, ours and others'."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from filter(is_ours, below)


def our_imports(path: Path) -> Iterator[tuple[str, str]]:
    """The modules of the project that a file imports, each with its room."""
    for module in filter(is_ours, imports(path)):
        parts = module.split(".")
        yield module, room_of(Path(*parts[:-1], f"{parts[-1]}.py"))


def below(folder: str) -> list[Path]:
    """The modules of a folder."""
    found = [path for path in FILES if path.as_posix().startswith(f"{folder}/")]
    assert found, f"there is no {folder}"
    return found


def test_every_room_has_a_rank():
    assert {room_of(path) for path in FILES} == set(RANK_OF)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path):
    room = room_of(path)
    wrong = [
        module
        for module, other in our_imports(path)
        if other != room
        and RANK_OF[other] >= RANK_OF[room]
        and (path.as_posix(), module) != DOOR
    ]
    assert not wrong, f"{path} of {room} imports {wrong}"


def test_the_door_to_the_report_opens_when_it_is_asked_for():
    path = Path(DOOR[0])
    at_start = [node for node in TREES[path].body if isinstance(node, ast.Import)]
    assert DOOR[1] in imports(path) and not at_start


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        ("keras_lrp", ("keras_lrp",)),
        ("evaluation", ("evaluation", "dataset")),
        ("report", ("report", "files")),
        ("scoring", (*BELOW_MODELS, "models", "evaluation", "report", "scoring")),
    ],
)
def test_rooms_that_know_little(folder, known):
    """LRP stands alone, figures know how a file is written, scoring does not train."""
    for path in below(folder):
        for module, _ in our_imports(path):
            fits = any(f"{module}.".startswith(f"{name}.") for name in known)
            assert fits, f"{path} imports {module}"


def test_scores_know_no_files_and_start_nothing():
    outside = ("os", "pathlib", "shutil", "subprocess", "tempfile")
    for path in below("evaluation"):
        assert not set(imports(path)) & set(outside), path
        assert "open" not in {
            node.id for node in ast.walk(TREES[path]) if isinstance(node, ast.Name)
        }, path


@pytest.mark.parametrize(
    ("folder", "unknown"),
    [
        ("models/generation", ("models.explainers",)),
        ("models/decoders", ("models.explainers", "models.captioner")),
        ("models/encoders", ("models.explainers", "models.captioner")),
    ],
)
def test_parts_of_a_captioner_do_not_know_it(folder, unknown):
    for path in below(folder):
        for module in imports(path):
            assert not module.startswith(unknown), f"{path} imports {module}"


def texts(tree: ast.Module) -> Iterator[str]:
    """The strings of a module, without its docstrings."""
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, described) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield from [node.value] if isinstance(node.value, str) else ()


def test_two_files_name_a_backend():
    for path in FILES:
        if path.as_posix().startswith(NAMES_BACKENDS):
            continue
        for name in (*imports(path), *texts(TREES[path])):
            assert not BACKENDS.search(name), f"{path} names a backend: {name!r}"


def executed(module: str) -> Iterator[str]:
    """The modules that Python imports, in its order, to import one of ours.

    Those within functions are left out, and so are imports of others' modules.
    """
    seen = set()

    def visit(name: str) -> Iterator[str]:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            one = ".".join(parts[:count])
            if one in seen:
                continue
            seen.add(one)
            if is_ours(one):
                yield from run(one)
            yield one

    def run(name: str) -> Iterator[str]:
        path = Path(*name.split("."))
        is_package = path / "__init__.py" in TREES
        path = path / "__init__.py" if is_package else path.with_suffix(".py")
        todo = list(TREES[path].body)
        while todo:
            node = todo.pop(0)
            if isinstance(node, ast.If | ast.Try):
                todo[:0] = [n for n in ast.iter_child_nodes(node) if n in node.body]
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from visit(alias.name)
            elif isinstance(node, ast.ImportFrom):
                yield from visit(node.module)
                for alias in node.names:
                    if is_ours(f"{node.module}.{alias.name}"):
                        yield from visit(f"{node.module}.{alias.name}")

    return visit(module)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_keras_is_imported_silently(path):
    """Whatever of ours is imported first silences it, before anything imports it."""
    parts = path.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    order = list(executed(name))
    if "keras" in order:
        assert "keras_lrp.silence" in order[: order.index("keras")], order[:40]
