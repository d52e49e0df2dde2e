"""The report: colours by hand, figures by their panels, the page by its parse."""

import base64
import json
import sys
import webbrowser
from html.parser import HTMLParser
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import report
from report import overlays
from report.figures import heatmap_figure
from report.html_report import COLUMNS, balance, report_page, write_report
from report.word_figure import word_relevance_figure
from report.wording import METHOD_ADVICE, VISUAL_SHARE, number, percent

MALICIOUS = '</script><script>alert("$x^2$")</script>'
START = "<start>"
DOT = "\N{MIDDLE DOT}"
HEIGHT, WIDTH = 20, 24


def fake_explanation(words=("a", "brown", "dog"), method="lrp", seed=0, **changes):
    """Draws arrays that balance; all axes differ."""
    random = np.random.default_rng(seed)
    num_words = len(words)
    pixels = random.normal(size=(num_words, HEIGHT, WIDTH, 3))
    features = random.normal(size=(num_words, 4, 5, 6))
    preceding_words = np.tril(random.normal(size=(num_words, num_words)))
    attention = random.random((num_words, 4, 5))
    image, from_words = features.sum(axis=(1, 2, 3)), preceding_words.sum(axis=1)
    logits = random.normal(size=num_words)
    lost = [logits - from_words - image, image - pixels.sum(axis=(1, 2, 3))]
    arrays = {
        "image": random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        "pixels": pixels,
        "features": features,
        "preceding_words": preceding_words,
        "attention": attention / attention.sum(axis=(1, 2), keepdims=True),
        "beta": random.random(num_words),
        "logits": logits,
        "log_probabilities": np.log(random.random(num_words)),
        "lost": np.stack(lost, axis=1),
    }
    names = {
        "caption": " ".join(words),
        "words": tuple(words),
        "steps": tuple(range(num_words)),
        "words_read": (START, *words[:-1]),
        "method": method,
        "lrp_preset": None,
        "unusual_precision": None,
        "chosen_rules": None,
        "has_pieces": False,
        "contrast": None,
        "photo": None,
        "lengths": None,
        "against": None,
        "mean_feature": None,
        "is_additive": method == "lrp",
    }
    return SimpleNamespace(**(names | arrays | changes))


class Page(HTMLParser):
    """Collects a page's tags, attributes and the text of each element."""

    def __init__(self, text: str):
        super().__init__()
        self.stack, self.opened, self.attributes = [], [], []
        self.cells, self.data = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Opens an element."""
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.stack.append((tag, dict(attrs)))
        self.opened.append(self.stack[-1])
        if tag in ("th", "td"):
            self.cells.append("")

    def handle_endtag(self, tag):
        """Closes the element and what was left open in it."""
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        """Keeps the text of cells and of the embedded data."""
        tag, attributes = self.stack[-1] if self.stack else ("", {})
        if tag in ("th", "td"):
            self.cells[-1] += data
        if attributes.get("id") == "data":
            self.data += data


def read_page(tmp_path, photos):
    path = write_report(tmp_path / "report.html", photos)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    return text, page, json.loads(page.data)


def decoded(data_uri: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(data_uri.partition(",")[2])))


def drawn_texts(figure) -> list[str]:
    texts = [text for axes in figure.axes for text in axes.texts]
    labels = [label for axes in figure.axes for label in axes.get_xticklabels()]
    return [text.get_text() for text in (*figure.texts, *texts, *labels)]


def pixels_of(figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


# Overlays


def test_overlay_hand_written():
    photo = np.full((2, 2, 3), (100, 150, 50), dtype=np.uint8)
    grey = 255 - 0.4 * (255 - (0.2126 * 100 + 0.7152 * 150 + 0.0722 * 50))
    relevance = np.array([[2.0, -2.0], [0.0, 1.0]])
    picture = report.overlay(photo, relevance, limit=2.0)
    red = (1 - 231 / 255) * grey + 231 / 255 * np.array(overlays.SUPPORTS)
    blue = (1 - 230 / 255) * grey + 230 / 255 * np.array(overlays.OPPOSES)
    # Blended in float and rounded once: at most half a grey level away.
    np.testing.assert_allclose(picture[0, 0], red, atol=0.51)
    np.testing.assert_allclose(picture[0, 1], blue, atol=0.51)
    np.testing.assert_allclose(picture[1, 0], grey, atol=0.51)
    assert picture[1, 1, 0] > picture[1, 1, 2], "half of the limit is still red"
    assert picture[1, 1, 1] > picture[0, 0, 1], "and paler"
    assert picture.dtype == np.uint8


def test_relevance_scale_is_symmetric():
    relevance = np.random.default_rng(1).normal(size=(5, 7))
    levels = overlays.relevance_levels(relevance).astype(int)
    opposite = overlays.relevance_levels(-relevance).astype(int)
    np.testing.assert_array_equal(levels - 63, 63 - opposite)
    alpha = overlays.RELEVANCE_COLOURS[:, 3].astype(int)
    np.testing.assert_allclose(alpha, alpha[::-1], atol=1)
    assert alpha[63] == 0 and len(set(alpha)) == 127, "a level is known by its alpha"


@pytest.mark.parametrize(
    ("relevance", "limit"),
    [([[0.0, -4.0], [2.0, 1.0]], 3.97), ([[0.0, 0.0], [0.0, 0.0]], 0.0)],
)
def test_relevance_limit(relevance, limit):
    # 99.5 % of the way along the sorted 0, 1, 2, 4: 2 + 0.985 * 2 = 3.97.
    assert overlays.relevance_limit(np.array(relevance)) == pytest.approx(limit)


def test_relevance_limit_of_sparse_relevance_is_its_maximum():
    relevance = np.zeros((30, 30))
    relevance[3, 4] = -5
    assert overlays.relevance_limit(relevance) == 5


def test_heatmaps_sum_channels_and_keep_constants():
    pixels = np.ones((2, 40, 30, 3)) * np.array([1.0, 2.0, -5.0])
    np.testing.assert_allclose(overlays.heatmaps(pixels), -2 * np.ones((2, 40, 30)))


def test_heatmaps_blur_is_a_gaussian():
    pixels = np.zeros((101, 101, 3))
    pixels[50, 50, 1] = 1
    heatmap = overlays.heatmaps(pixels)
    sigma = 0.008 * 101
    kernel = [np.exp(-0.5 * (step / sigma) ** 2) for step in range(-50, 51)]
    kernel = np.array(kernel) / sum(kernel)
    np.testing.assert_allclose(heatmap, np.outer(kernel, kernel), atol=1e-9)


def test_attention_overlay_colours_the_largest_weight():
    photo = np.full((40, 60, 3), 128, dtype=np.uint8)
    attention = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    picture = report.attention_overlay(photo, attention)
    assert picture.shape == photo.shape
    untouched = report.attention_overlay(photo, np.zeros((2, 3)))
    np.testing.assert_array_equal(picture[2, 2], untouched[2, 2])
    red, green, _ = picture[38, 58].astype(int)
    assert green > red + 20


def test_palette_png_keeps_every_colour():
    levels = np.arange(127, dtype=np.uint8).reshape(1, 127)
    content = overlays.palette_png(levels, overlays.RELEVANCE_COLOURS)
    picture = Image.open(BytesIO(content))
    assert picture.mode == "P"
    np.testing.assert_array_equal(
        np.asarray(picture.convert("RGBA"))[0], overlays.RELEVANCE_COLOURS
    )


def test_overlay_errors():
    photo = np.zeros((4, 5, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"photo's size \(4, 5\), received \(5, 4\)"):
        report.overlay(photo, np.zeros((5, 4)))
    with pytest.raises(ValueError, match="finite relevance"):
        report.overlay(photo, np.full((4, 5), np.nan))


# Figures


@pytest.mark.parametrize("num_words", [1, 3, 9, 20])
def test_heatmap_figure_panels(num_words):
    words = [f"word{index}" for index in range(num_words)]
    figure = heatmap_figure(fake_explanation(words))
    # The photo, two pictures per word, two colour bars.
    assert len(figure.axes) == 1 + 2 * num_words + 2
    assert set(words) <= set(drawn_texts(figure))
    assert pixels_of(figure).std() > 10


def test_heatmap_figure_panels_and_labels_do_not_overlap():
    words = ["a", "photographer's-unbelievably-long-word", "dog", "is", "a", "b", "c"]
    figure = heatmap_figure(fake_explanation(words))
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_window_extent(renderer) for axes in figure.axes]
    boxes += [text.get_window_extent(renderer) for text in figure.texts]
    page = figure.bbox
    for index, box in enumerate(boxes):
        assert page.x0 <= box.x0 and box.x1 <= page.x1
        assert page.y0 <= box.y0 and box.y1 <= page.y1
        for other in boxes[:index]:
            # A word's box includes room for letters that reach below the line.
            shared_x = min(box.x1, other.x1) - max(box.x0, other.x0)
            shared_y = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert shared_x < 2 or shared_y < 6, (box, other)


def test_heatmap_figure_numbers():
    beta, logs = np.array([0.25, 1.0, 0.0]), np.log([0.624, 0.001, 1.0])
    explanation = fake_explanation(beta=beta, log_probabilities=logs)
    figure = heatmap_figure(explanation, "tiny")
    sure = f"captioner tiny {DOT} mean probability of the words 54 %"
    assert sure in drawn_texts(figure)
    assert sure.partition(f"{DOT} ")[2] in drawn_texts(heatmap_figure(explanation))
    facts = [text for text in drawn_texts(figure) if text.startswith("p ")]
    assert facts == [
        f"p 62 %   {VISUAL_SHARE} 0.75",
        f"p <1 %   {VISUAL_SHARE} 0.00",
        f"p 100 %   {VISUAL_SHARE} 1.00",
    ]


def test_word_relevance_figure():
    explanation = fake_explanation()
    figure = word_relevance_figure(explanation)
    shown = figure.axes[0].images[0]
    matrix = shown.get_array()
    np.testing.assert_array_equal(matrix.mask, np.triu(np.ones((3, 3)), k=1) == 1)
    lower = explanation.preceding_words[np.tril_indices(3)]
    np.testing.assert_array_equal(matrix.compressed(), lower)
    assert shown.norm.vmin == -shown.norm.vmax
    assert shown.norm.vmax == pytest.approx(np.abs(explanation.preceding_words).max())
    columns = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert columns == [START, "a", "brown"]
    assert number(explanation.preceding_words[2, 1]) in drawn_texts(figure)
    assert pixels_of(figure).std() > 10


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels": np.zeros((3, HEIGHT, WIDTH, 3))},
        {"preceding_words": np.zeros((3, 3))},
        {"preceding_words": np.full((3, 3), np.nan)},
        {"attention": np.zeros((3, 4, 5))},
        {"lost": np.full((3, 2), np.nan), "beta": np.full(3, np.nan)},
    ],
    ids=["no pixels", "no words", "unknown words", "no attention", "no balance"],
)
def test_nothing_to_draw(tmp_path, changes):
    explanation = fake_explanation(**changes)
    for figure in (heatmap_figure(explanation), word_relevance_figure(explanation)):
        assert pixels_of(figure).std() > 5
    _, _, data = read_page(tmp_path, [[explanation]])
    assert len(data["photos"][0]["methods"][0]["words"]) == 3


def test_constant_zero_relevance_shows_the_grey_photo():
    explanation = fake_explanation(pixels=np.zeros((3, HEIGHT, WIDTH, 3)))
    picture = heatmap_figure(explanation).axes[2].images[0].get_array()
    grey = overlays.faded(explanation.image).repeat(3, axis=2)
    np.testing.assert_allclose(picture, grey, atol=0.51)


def test_unfit_explanations_are_named():
    with pytest.raises(ValueError, match="at least one word"):
        heatmap_figure(fake_explanation(words=()))
    unfit = fake_explanation(preceding_words=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"expected preceding_words of shape \(3, 3\)"):
        word_relevance_figure(unfit)


# The page


def test_report_is_one_whole_file(tmp_path):
    text, page, data = read_page(tmp_path, [[fake_explanation()]])
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "http://" not in text and "https://" not in text and "@@" not in text
    for tag, name, value in page.attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:", "#")), (tag, value)
    (photo,) = data["photos"]
    picture = decoded(photo["image"])
    assert picture.size == (photo["width"], photo["height"]) == (WIDTH, HEIGHT)
    for image in photo["images"]:
        assert decoded(image).size == (WIDTH, HEIGHT)
    assert page.cells[0] == COLUMNS[0]


def test_report_shows_the_heatmaps_of_the_figure(tmp_path):
    explanation = fake_explanation()
    _, _, data = read_page(tmp_path, [[explanation]])
    (photo,) = data["photos"]
    word = photo["methods"][0]["words"][1]
    layer = np.asarray(decoded(photo["images"][word["heatmap"]]).convert("RGBA"))
    alpha = layer[..., 3:] / 255
    blended = (1 - alpha) * overlays.faded(explanation.image) + alpha * layer[..., :3]
    relevance = overlays.heatmaps(explanation.pixels[1])
    expected = report.overlay(explanation.image, relevance)
    np.testing.assert_allclose(blended, expected, atol=0.51)


def test_report_escapes_words(tmp_path):
    words = ("a", MALICIOUS, "<b>&\"'", "@@data@@")
    text, page, data = read_page(tmp_path, [[fake_explanation(words)]])
    assert MALICIOUS not in text and "<b>" not in text
    assert text.count("</script>") == 2
    assert [w["word"] for w in data["photos"][0]["methods"][0]["words"]] == [*words]
    assert set(words) <= set(page.cells)


def test_report_balances(tmp_path):
    lost = np.array([[0.21, 0.02], [np.nan, np.nan], [0.5, np.nan]])
    features = np.zeros((3, 4, 5, 6))
    features[0, 1, 2, 3], features[0, 0, 0, 0] = 4.16, -1.0
    pixels = np.zeros((3, HEIGHT, WIDTH, 3))
    pixels[0, 7, 5, 2] = 3.14
    preceding_words = np.array([[5.96, 0, 0], [1, 2, 0], [-1, -2, -3.0]])
    explanation = fake_explanation(
        features=features,
        pixels=pixels,
        preceding_words=preceding_words,
        logits=np.array([9.33, 1.0, -5.5]),
        lost=lost,
        mean_feature=np.array([1.13, np.nan, np.nan]),
    )
    assert balance(explanation, 0) == {
        "logit": 9.33,
        "image": 3.16,
        "words": 5.96,
        "lost": 0.21,
        "pixels": 3.14,
        "encoder_lost": 0.02,
        "places": 2.03,
        "mean": 1.13,
    }
    unknown = {key: value for key, value in balance(explanation, 1).items() if value}
    assert unknown == {"logit": 1.0}
    assert balance(explanation, 2)["words"] == -6
    assert balance(explanation, 2)["pixels"] is None
    _, page, data = read_page(tmp_path, [[explanation]])
    word = data["photos"][0]["methods"][0]["words"][0]
    assert word["balance"] == balance(explanation, 0)
    assert word["preceding"] == [5.96]
    first = page.cells.index("a")
    assert page.cells[first + 3 : first + 11] == [
        *("9.33", "3.16", "5.96", "0.21", "3.14", "0.02", "2.03", "1.13")
    ]


def test_report_of_several_photos_and_methods(tmp_path):
    lrp = fake_explanation()
    attention = fake_explanation(method="attention", seed=1, attention=lrp.attention)
    other = fake_explanation(("ball",), seed=2)
    _, _, data = read_page(tmp_path, [[lrp, attention], [other]])
    first, second = data["photos"]
    assert [method["name"] for method in first["methods"]] == ["lrp", "attention"]
    assert [method["label"] for method in first["methods"]] == ["LRP", "Attention"]
    advice = [method["advice"] for method in first["methods"]]
    assert advice == [METHOD_ADVICE[name] for name in ("lrp", "attention")]
    # Two heatmaps and one shared attention map for each of three words.
    assert len(first["images"]) == 9
    assert len(second["images"]) == 2
    assert second["methods"][0]["words"][0]["word"] == "ball"


def test_report_is_small(tmp_path):
    random = np.random.default_rng(3)
    explanation = fake_explanation(
        tuple("abcdefghijkl"),
        image=random.integers(0, 256, (224, 224, 3), dtype=np.uint8),
        pixels=random.normal(size=(12, 224, 224, 3)),
    )
    path = write_report(tmp_path / "report.html", [[explanation]])
    assert path.stat().st_size < 1.5e6


def test_report_of_nothing_raises(tmp_path):
    for photos in ([], [[]]):
        with pytest.raises(ValueError, match="at least one photo"):
            write_report(tmp_path / "report.html", photos)
    assert not any(tmp_path.iterdir())


# Notebooks


def test_a_notebook_shows_the_report_in_a_frame(monkeypatch):
    explanation, shown = fake_explanation(("a", MALICIOUS)), []
    (tag, attributes), *others = Page(report.html(explanation)).opened
    assert tag == "iframe" and not others
    assert attributes["srcdoc"] == report_page([[explanation]])
    display = SimpleNamespace(display=lambda data, raw: shown.append(data))
    shell = SimpleNamespace(kernel=None)
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert report.show(explanation) is None
    assert shown == [{"text/html": report.html(explanation)}]


def test_outside_of_notebooks_the_browser_shows_the_report(monkeypatch, tmp_path):
    opened = []
    browser = SimpleNamespace(open=opened.append)
    monkeypatch.setattr("webbrowser.get", lambda: browser)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = report.show(fake_explanation())
    assert path.read_text() == report_page([[fake_explanation()]])
    assert opened == [path.as_uri()] and path.is_relative_to(tmp_path)
    in_terminal = webbrowser.GenericBrowser("false")
    monkeypatch.setattr("webbrowser.get", lambda: in_terminal)
    monkeypatch.setattr(in_terminal, "open", pytest.fail)
    assert report.show(fake_explanation()).is_file()


# Looks


@pytest.fixture
def uneven():
    """The second of three words hardly reads the photo, which is no square."""
    weights = np.array([1.0, 0.05, 2.0])[:, None, None, None]
    pixels = weights * np.random.default_rng(5).normal(size=(3, HEIGHT, WIDTH, 3))
    photo = np.full((40, 100, 3), 90, "uint8")
    return fake_explanation(pixels=pixels, photo=photo)


def test_a_word_is_drawn_over_the_photograph_in_its_own_size(uneven):
    picture = report.word_picture(uneven, "Brown")
    assert picture.size == (100, 40)
    heat = overlays.stretched(overlays.heatmaps(uneven.pixels[1]), (40, 100))
    limit = overlays.relevance_limit(overlays.heatmaps(uneven.pixels[1]))
    expected = overlays.overlay(uneven.photo, heat, limit)
    np.testing.assert_array_equal(np.asarray(picture), expected)
    np.testing.assert_array_equal(report.word_picture(uneven, 1), picture)
    uneven.photo = None
    assert report.word_picture(uneven, 1).size == (WIDTH, HEIGHT)


def colourfulness(picture) -> float:
    return float(np.ptp(np.asarray(picture).astype(int), axis=-1).mean())


def test_one_scale_for_the_caption_shows_weak_words_pale(tmp_path, uneven):
    shared = report.Look("caption")
    for word, is_weak in (("a", True), ("brown", True), ("dog", False)):
        own = report.word_picture(uneven, word)
        common = report.word_picture(uneven, word, shared)
        assert (colourfulness(common) < 0.8 * colourfulness(own)) == is_weak
    texts = " ".join(drawn_texts(heatmap_figure(uneven, None, shared)))
    assert "one scale for all words" in texts
    text = write_report(tmp_path / "a.html", [[uneven]], look=shared).read_text()
    assert "All words have one scale" in text
    words = json.loads(Page(text).data)["photos"][0]["methods"][0]["words"]
    assert len({word["limit"] for word in words}) == 1


def test_colours_are_those_of_the_named_map(tmp_path, uneven):
    look = report.Look(colour_map="PuOr")
    picture = np.asarray(report.word_picture(uneven, "dog", look))
    assert (picture != np.asarray(report.word_picture(uneven, "dog"))).any()
    text = write_report(tmp_path / "a.html", [[uneven]], look=look).read_text()
    opposes, supports = look.colours[0, :3], look.colours[-1, :3]
    assert f"--supports: {' '.join(map(str, supports))}" in text
    assert f"--opposes: {' '.join(map(str, opposes))}" in text
    assert "Red supports" not in text
    matrix = word_relevance_figure(uneven, look).axes[0].images[0]
    np.testing.assert_allclose(
        255 * np.array(matrix.cmap(1.0))[:3],
        overlays.on_white(look.colours)[-1],
        atol=1,
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: report.Look("photo"), "Unknown scale 'photo'; expected one of word"),
        (lambda e: report.Look(colour_map="RdBu_x"), "of matplotlib's, as RdBu"),
        (lambda e: report.Look(colour_map="red"), "Unknown colour map 'red'"),
        (lambda e: report.word_picture(e, "cat"), "'cat' is none of .*: 0 a, 1 b"),
        (lambda e: report.word_picture(e, 3), "3 is none of the explained words"),
        (lambda e: report.write_figure(None, "a.jpg"), r"one of \.png, \.svg, \.pdf"),
    ],
)
def test_wrong_looks_and_words_are_named(uneven, make, message):
    with pytest.raises(ValueError, match=message):
        make(uneven)


def test_a_word_that_is_there_twice_is_named_by_its_place():
    explanation = fake_explanation(("a", "dog", "a"))
    with pytest.raises(ValueError, match=r"'a' is there 2 times.*its place: 0 or 2"):
        report.word_picture(explanation, "a")
    assert report.word_picture(explanation, 2).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("kind", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_figures_are_written_in_every_format(tmp_path, kind, head):
    figure = word_relevance_figure(fake_explanation())
    path = report.write_figure(figure, tmp_path / "below" / f"a.{kind}")
    content = path.read_bytes()
    assert content.startswith(head)
    assert report.write_figure(figure, path).read_bytes() == content


# Files


def test_pictures_are_written_by_their_names(tmp_path):
    paths = report.write_pictures(fake_explanation(), tmp_path / "out")
    assert [path.name for path in paths] == ["heatmaps.png", "preceding_words.png"]
    assert sorted((tmp_path / "out").iterdir()) == paths
    assert np.asarray(Image.open(paths[0])).std() > 10
    paths = report.write_pictures(fake_explanation(), tmp_path, figure_format="svg")
    assert [path.name for path in paths] == ["heatmaps.svg", "preceding_words.svg"]


def test_index_leads_to_every_report(tmp_path):
    cards = [
        report.Card("a dog", "1"),
        report.Card(MALICIOUS, 'a"b', "runs/<b>", 0.5, MALICIOUS),
    ]
    text = report.write_index(tmp_path / "index.html", cards).read_text()
    links = [value for tag, name, value in Page(text).attributes if name == "href"]
    assert links == ["1/report.html", "a%22b/report.html"]
    assert MALICIOUS not in text and "<b>" not in text and "a dog" in text
    assert f"captioner &lt;b&gt; {DOT} mean probability of the words 50 %" in text


def test_chosen_words_lie_at_their_place(tmp_path):
    whole = fake_explanation(("a", "brown", "dog", "runs"))
    arrays = "pixels features preceding_words attention beta logits log_probabilities"
    chosen = {name: getattr(whole, name)[[2]] for name in [*arrays.split(), "lost"]}
    some = SimpleNamespace(
        **(vars(whole) | chosen | {"words": ("dog",), "steps": (2,)})
    )
    _, _, data = read_page(tmp_path, [[some]])
    (method,) = data["photos"][0]["methods"]
    assert method["sentence"] == [START, "a", "brown", "dog", "runs"]
    assert method["words"][0]["step"] == 2
    assert len(method["words"][0]["preceding"]) == 3
    axes = word_relevance_figure(some).axes[0]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == [START, "a", "brown", "dog"]


def test_files_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write_report(tmp_path / "report.html", [[fake_explanation()]])
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", failing_replace)
    with pytest.raises(OSError, match="no space"):
        write_report(path, [[fake_explanation(seed=1)]])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def failing_replace(source, target):
    raise OSError("no space")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.004, "0.00"),
        (-1.5, "\N{MINUS SIGN}1.50"),
        (np.nan, "\N{EN DASH}"),
        (2, "2.00"),
    ],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.004, "<1 %"), (0.006, "1 %"), (1, "100 %")]
)
def test_percent(share, text):
    assert percent(share) == text


def test_words_in_rows_and_methods_in_columns():
    methods = [fake_explanation(method=name) for name in ("lrp", "grad_cam")]
    figure = report.method_figure(methods, ["dog", 0])
    pictures = [axes.images[0].get_array() for axes in figure.axes]
    assert len(pictures) == 3 * 2
    for picture, (explanation, word) in zip(
        pictures[2:], [(e, word) for e in methods for word in ("dog", 0)], strict=True
    ):
        np.testing.assert_array_equal(picture, report.word_picture(explanation, word))
    texts = [text.get_text() for text in figure.texts]
    assert {"photo", "LRP", "Grad-CAM"} < set(texts)
    chance = percent(np.exp(methods[0].log_probabilities[2]))
    assert f"dog, p {chance}" in texts
    with pytest.raises(ValueError, match="'cat' is none of the explained words"):
        report.method_figure(methods, ["cat"])
