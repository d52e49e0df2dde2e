"""The comparisons with other libraries, as far as they run without them."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import environment, external, external_worker
from benchmarks.external import Library, Measured, compare

LIBRARY = Library("Other", "other", {"theirs": "epsilon"}, ("z_plus",))


def measured(heatmaps, seconds: float) -> Measured:
    return Measured(np.array(heatmaps, float), 3 * seconds, seconds, 2 * seconds)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--photo", "p.jpg"], "required: --weights"),
        (["--weights", "w.h5"], "required: --photo"),
        (
            ["--weights", "w.h5", "--photo", "p.jpg", "--words", "0"],
            "expected 1, 2, 3, ...; received '0'",
        ),
    ],
)
def test_arguments_are_explained(capsys, argv, message):
    with pytest.raises(SystemExit) as exit_:
        compare(LIBRARY, argv)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_files_are_named(tmp_path, capsys):
    photo, weights = tmp_path / "p.png", tmp_path / "w.h5"
    command = ["--photo", str(photo), "--weights", str(weights)]
    assert compare(LIBRARY, command) == 2
    assert f"benchmarks.other: {photo}: the file does not" in capsys.readouterr().err
    Image.new("RGB", (8, 9)).save(photo)
    assert compare(LIBRARY, command) == 2
    assert f"{weights}: no such file; expected" in capsys.readouterr().err
    weights.write_text("no weights")
    assert compare(LIBRARY, command) == 2
    assert f"{weights}: expected the weights of VGG16" in capsys.readouterr().err


def test_largest_difference_by_hand():
    """Words of 1x2 pixels: 1/4 of the first's largest, 3/6 of the second's."""
    reference = np.array([[[4.0, -2.0]], [[-6.0, 1.0]]])
    heatmaps = np.array([[[4.0, -1.0]], [[-3.0, 1.0]]])
    assert external.largest_difference(heatmaps[:1], reference[:1]) == 0.25
    assert external.largest_difference(heatmaps, reference) == 0.5


def test_figures_and_their_table():
    ours = {"epsilon": measured([[4.0]], 1.0), "z_plus": measured([[3.0]], 1.0)}
    figures = external.summarize(LIBRARY, ours, {"theirs": measured([[4.0]], 5.0)})
    assert figures["agrees"]
    assert figures["differences"] == {"theirs": {"epsilon": 0.0, "z_plus": 0.25}}
    assert figures["times_faster"] == {"theirs": 5.0}
    json.dumps(figures)
    table = "\n".join(external.table({"library": "Other 1.0"} | figures))
    assert "agrees, bar 1e-04" in table
    assert "NOT" not in table

    figures = external.summarize(LIBRARY, ours, {"theirs": measured([[5.0]], 5.0)})
    assert not figures["agrees"]
    table = "\n".join(external.table({"library": "Other 1.0"} | figures))
    assert "DOES NOT AGREE" in table


def test_drawn_relevance():
    """Zero where features are; odd words are nonnegative, the others signed."""
    features = np.ones((1, 2, 3, 50), "float32")
    features[..., 7] = 0.0
    relevance = external.draw_relevance(features, 4)
    assert relevance.shape == (4, 2, 3, 50)
    assert relevance.dtype == np.float32
    assert not relevance[..., 7].any()
    assert [word.min() < 0 for word in relevance] == [True, False, True, False]
    assert np.array_equal(relevance[:2], external.draw_relevance(features, 4)[:2])


def test_a_worker_answers_a_task(tmp_path, monkeypatch):
    """The library here doubles relevance that has the shape of the image."""
    given, result = tmp_path / "task.npz", tmp_path / "result.npz"
    relevance = np.arange(24.0).reshape(2, 2, 3, 2)
    weights = {f"weight{n:02}": np.full(1, n) for n in range(12)}
    np.savez(given, image=relevance[:1], relevance=relevance, rounds=3, **weights)
    prepared = []

    def prepare(method, weights, dtype):
        prepared.append((method, [int(w[0]) for w in weights], dtype))
        return lambda images, relevance: images * 0 + 2 * relevance

    monkeypatch.setattr("sys.argv", ["worker", str(given), str(result), "theirs"])
    external_worker.answer(prepare, "1.0")
    order = list(range(12))
    assert prepared == [("theirs", order, "float32"), ("theirs", order, "float64")]
    with np.load(result) as answer:
        assert str(answer["version"]) == "1.0"
        prefix = f"theirs{external_worker.PART}"
        assert len(answer[f"{prefix}batch"]) == 3
        read = external.read_measured(answer, prefix, 2)
    assert np.array_equal(read.heatmaps, 2 * relevance)


def test_the_faster_of_two_ways_counts():
    answer = {"separate": [4.0, 6.0, 5.0], "batch": [9.0], "first": 7.0, "heatmaps": 0}
    read = external.read_measured(answer, "", 2)
    assert (read.first, read.one_word, read.all_words) == (7.0, 2.5, 5.0)


def test_an_environment_is_built_once(tmp_path, monkeypatch):
    for name in environment.LISTS:
        (tmp_path / name).write_text(f"of {name}")
    steps = []

    def run(command, **_):
        (tmp_path / ".venv").mkdir(exist_ok=True)
        steps.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("subprocess.run", run)
    python = environment.build_environment(tmp_path)
    assert [step[:3] for step in steps] == [
        [sys.executable, "-m", "venv"],
        [str(python), "-m", "pip"],
        [str(python), "-m", "pip"],
    ]
    assert ["--no-deps" in step for step in steps] == [False, False, True]
    environment.build_environment(tmp_path)
    assert len(steps) == 3
    (tmp_path / "requirements.txt").write_text("changed")
    environment.build_environment(tmp_path)
    assert len(steps) == 6


def test_a_failed_step_is_explained(tmp_path, monkeypatch):
    for name in environment.LISTS:
        (tmp_path / name).write_text("")
    monkeypatch.setattr(
        "subprocess.run",
        lambda command, **_: subprocess.CompletedProcess(command, 1, "", "no pip\n"),
    )
    with pytest.raises(
        ValueError, match=r"exit code 1: .* venv(.|\n)*no pip\npip must"
    ):
        environment.build_environment(tmp_path)
    assert not (tmp_path / ".venv").exists()
