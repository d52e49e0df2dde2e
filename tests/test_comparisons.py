"""The comparisons with other libraries, as far as they run without them."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from comparisons import environment, external, external_worker
from comparisons.external import Library, Measured, compare
from comparisons.quantus import __main__ as quantus
from comparisons.quantus import comparisons

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
    assert f"comparisons.other: {photo}: the file does not" in capsys.readouterr().err
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
    figures = external.figures_of(LIBRARY, ours, {"theirs": measured([[4.0]], 5.0)})
    assert figures["agrees"]
    assert figures["differences"] == {"theirs": {"epsilon": 0.0, "z_plus": 0.25}}
    assert figures["times_faster"] == {"theirs": 5.0}
    json.dumps(figures)
    table = "\n".join(external.table({"library": "Other 1.0"} | figures))
    assert "agrees, bar 1e-04" in table
    assert "NOT" not in table

    figures = external.figures_of(LIBRARY, ours, {"theirs": measured([[5.0]], 5.0)})
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


def test_a_worker_is_asked_by_files(tmp_path, monkeypatch):
    """The worker here doubles what it is given."""

    def run(command, **_):
        *worker, given, result, metric = command
        assert worker == ["python", "-m", "comparisons.other.worker"]
        with np.load(given) as arrays:
            np.savez(result, **{metric: 2 * arrays["relevance"]})
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("subprocess.run", run)
    arrays = {"relevance": np.arange(6.0).reshape(2, 3)}
    python, folder = Path("python"), tmp_path / "other"
    answer = environment.ask_worker(python, folder, arrays, "theirs")
    np.testing.assert_array_equal(answer["theirs"], [[0, 2, 4], [6, 8, 10]])


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


# Quantus


def slow_score(metric: str, relevance: np.ndarray, mask: np.ndarray) -> float:
    """Scores one map (H, W) as Quantus' documentation says."""
    heat, mask = np.maximum(relevance, 0).ravel(), mask.ravel()
    match metric:
        case "AttributionLocalisation" | "RelevanceMassAccuracy":
            return heat[mask].sum() / heat.sum()
        case "RelevanceRankAccuracy" | "TopKIntersection":
            hottest = sorted(range(heat.size), key=lambda place: -heat[place])
            return mask[hottest[: mask.sum()]].mean()
        case "PointingGame":
            return float(any(mask[heat == max(heat)]))
        case "AUC":
            apart = heat[mask][:, None] - heat[~mask]
            return ((apart > 0) + (apart == 0) / 2).mean()


def slow_flipping(maps, image, weights, step) -> np.ndarray:
    """Returns a curve of each word (R, S)."""
    curves = []
    for word, relevance in enumerate(maps):
        left, curve = image.flatten(), []
        order = sorted(range(left.size), key=lambda place: -relevance.flat[place])
        for start in range(0, left.size, int(step)):
            left[order[start : start + int(step)]] = 0
            grown = np.exp(left @ weights)
            curve.append(grown[word] / grown.sum())
        curves.append(curve)
    return np.array(curves)


def slow_answer(python, folder, arrays, *metrics) -> dict:
    """Answers instead of Quantus."""
    answer = {"version": np.array("1.0")}
    for number, metric in enumerate(metrics):
        mine = [key for key in arrays if key.startswith(f"{number}.")]
        given = {key.partition(".")[2]: arrays[key] for key in mine}
        if metric.startswith("PixelFlipping"):
            found = slow_flipping(**given)
            if "area" in metric:
                found = (found[:, 1:] + found[:, :-1]).sum(axis=-1) / 2
        else:
            pairs = zip(given["maps"], given["masks"], strict=True)
            found = np.array([slow_score(metric, *pair) for pair in pairs])
        answer[str(number)] = found
    return answer


def test_ours_agree_with_the_definitions_of_quantus(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quantus, "build_environment", lambda folder: Path("python"))
    monkeypatch.setattr(quantus, "ask_worker", slow_answer)
    output = tmp_path / "figures.json"
    assert quantus.main(["--cases", "3", "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "Quantus 1.0 and ours" in printed and "NOT" not in printed
    figures = json.loads(output.read_text())
    assert figures["agrees"]
    assert len(figures["comparisons"]) == 17
    assert max(row["difference"] for row in figures["comparisons"]) < 1e-12


@pytest.mark.parametrize("wrong", [0.51, np.nan])
def test_what_differs_from_quantus_is_told(wrong):
    comparison = comparisons.Comparison("mine", "Theirs", "", {}, np.array([1.0, 0.5]))
    answer = {"version": "1.0", "0": np.array([1.0, wrong])}
    figures = quantus.figures_of([comparison], answer)
    assert not figures["agrees"]
    assert "DOES NOT AGREE" in "\n".join(quantus.table(figures))


def test_scores_of_another_shape_are_refused():
    comparison = comparisons.Comparison("mine", "Theirs", "", {}, np.ones(2))
    with pytest.raises(ValueError, match=r"expected scores \(2,\), received \(2, 1\)"):
        quantus.difference(comparison, np.ones((2, 1)))
