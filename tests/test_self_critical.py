"""Self-critical training: its reward, its samples, its weights and a whole run."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import tiny_captioner
from pycocoevalcap.cider.cider import Cider
from tiny_training import arguments_of, resume_arguments

import train
from config import SELF_CRITICAL, Config
from dataset import CaptionedImage
from dataset.vocabulary import END, START, Vocabulary
from models.captioner import load_captioner
from models.generation.sampling import sample_captions
from training.callbacks import BACKUP
from training.cider_reward import CiderReward
from training.hallucination_reward import HallucinationReward
from training.self_critical import advantages, draw_batch, fit_self_critical

pytestmark = pytest.mark.usefixtures("quick")

WORDS = np.array(["a", "b", "c", "d", "e", "f", "g"])


def test_reward_equals_the_official_cider():
    generator = np.random.default_rng(0)
    references = [
        [generator.integers(0, 7, generator.integers(1, 9)) for _ in range(3)]
        for _ in range(5)
    ]
    captions = [generator.integers(0, 7, 6) for _ in range(5)]
    captions[1] = references[1][0]

    def texts(of_image):
        return [" ".join(WORDS[caption]) for caption in of_image]

    _, expected = Cider().compute_score(
        {number: texts(of_image) for number, of_image in enumerate(references)},
        {number: texts([caption]) for number, caption in enumerate(captions)},
    )
    reward = CiderReward(references)
    found = [reward.score(number, caption) for number, caption in enumerate(captions)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert min(found) >= 0 and max(found) > 1


def test_samples_follow_the_distribution():
    """Two words and the end; what follows depends on the word before."""
    table = np.zeros((5, 5))
    table[START] = [0, 0, 0.1, 0.6, 0.3]
    table[3] = [0, 0, 0.5, 0.5, 0]
    table[4] = [0, 0, 1, 0, 0]
    assert END == 2

    def step(tokens, state):
        with np.errstate(divide="ignore"):
            return np.log(table[np.array(tokens)]).astype("float32"), state

    generator = np.random.default_rng(1)
    (captions,) = sample_captions(step, (), 1, 4000, 3, START, END, generator)
    firsts = np.bincount([caption[0] for caption in captions], minlength=5) / 4000
    np.testing.assert_allclose(firsts, table[START], atol=0.03)  # 4 deviations
    assert {tuple(caption) for caption in captions} == {
        (2,),
        (3, 2),
        (3, 3, 2),
        (3, 3, 3),
        (4, 2),
    }


def test_a_low_temperature_draws_likelier_words():
    """At 1/2 the probabilities 0.9 and 0.1 become 0.81 and 0.01 of 0.82."""
    logs = np.log(np.array([0.1, 0.9]))

    def step(tokens, state):
        return np.broadcast_to(logs, (*tokens.shape, 2)), state

    drawn = sample_captions(
        step, (), 1, 9000, 1, 0, 5, np.random.default_rng(3), temperature=0.5
    )
    share = np.mean([caption[0] == 0 for caption in drawn[0]])
    assert share == pytest.approx(0.01 / 0.82, abs=0.004)  # 3 deviations


def test_a_caption_is_compared_with_the_others_of_its_image():
    rewards = np.array([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]])
    expected = [[1 - 4, 2 - 3.5, 6 - 1.5], [-1.5, -1.5, 3]]
    np.testing.assert_allclose(advantages(rewards), expected)


def captioner_of_objects(**settings):
    """One that can say five words of Flickr8k."""
    words = ("a", "dog", "man", "frisbee", "and")
    config = Config(dataset="flickr8k", objective="self_critical", **settings)
    return SimpleNamespace(config=config, vocabulary=Vocabulary(words))


SHOWN = [  # "kayak" is no word of the captioner, and shows a boat all the same
    CaptionedImage("1", Path("1.jpg"), ("a man and a kayak",)),
    CaptionedImage("2", Path("2.jpg"), ("a puppy with a frisbee",)),
]


def test_named_objects_cost_a_penalty_or_earn_a_credit():
    captioner = captioner_of_objects(hallucination_penalty=0.25, object_credit=0.125)
    captions = [captioner.vocabulary.encode(i.captions[0], 9) for i in SHOWN]
    cider = CiderReward([[caption] for caption in captions])
    reward = HallucinationReward(cider, captioner, SHOWN)
    for text, wrong, right in [
        ("a man", (0, 1), (1, 0)),
        ("a dog", (1, 0), (0, 1)),
        ("a dog and a frisbee and a dog", (3, 0), (0, 2)),
        ("a and a", (0, 0), (0, 0)),
    ]:
        caption = captioner.vocabulary.encode(text, 9)
        for image in range(2):
            counted = 0.125 * right[image] - 0.25 * wrong[image]
            expected = cider.score(image, caption) + counted
            assert reward.score(image, caption) == pytest.approx(expected)


class Batches:
    """Two images with references, as `CaptionBatches` has them."""

    captions_per_image, max_words, max_predictions = 3, 8, 30
    captions = ([np.array([3, 4, END])], [np.array([5, END]), np.array([6, 7, END])])

    def draw_images(self, index):
        generator = np.random.default_rng(2)
        features = generator.random((2, 4, 5, 7)).astype("float16")
        return np.array([1, 0]), features, generator


def test_every_word_weighs_what_its_caption_gained():
    captioner, batches = tiny_captioner(), Batches()
    reward = CiderReward(batches.captions)
    inputs, targets, weights, mean = draw_batch(captioner, batches, reward, 0)
    tokens, positions = inputs["tokens"], inputs["positions"]
    rewards, gained = np.zeros((2, 3)), np.zeros((2, 3))
    for row, image in enumerate([1, 0]):
        for number in range(3):
            own = (positions[row] // 9 == number) & (targets[row] != 0)
            caption = targets[row][own]
            np.testing.assert_array_equal(
                tokens[row, number, : len(caption)], [START, *caption[:-1]]
            )
            rewards[row, number] = reward.score(image, caption)
            assert len(set(weights[row][own])) == 1
            gained[row, number] = weights[row][own][0]
    np.testing.assert_allclose(gained, advantages(rewards), rtol=1e-5)
    assert mean == pytest.approx(rewards.mean())
    assert np.all(weights[targets == 0] == 0)


SETTINGS = {
    "objective": "self_critical",
    "hallucination_penalty": 0.1,
    "learning_rate": 0.01,
    "epochs": 6,
}


@pytest.mark.slow
@pytest.mark.parametrize("objective", SELF_CRITICAL)
def test_a_run_earns_more_and_is_resumed(data_dir, tmp_path, objective):
    run = tmp_path / "run"
    settings = SETTINGS | {"objective": objective}
    assert train.main(arguments_of(data_dir, run, **settings)) == 0
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "reward", "val_cider"]
    assert float(rows[-1]["reward"]) > float(rows[0]["reward"])
    assert load_captioner(run).config.objective == objective
    assert not (run / BACKUP).exists()
    assert train.main(resume_arguments(data_dir, run)) == 2  # it is finished


def test_one_image_cannot_be_rewarded(data_dir, tmp_path, capsys):
    arguments = arguments_of(data_dir, tmp_path / "run", "--limit", "1", **SETTINGS)
    assert train.main(arguments) == 2
    assert "has no value for one image: train needs 2 images" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_images_that_share_their_words_cannot_be_rewarded():
    same = SimpleNamespace(captions=[[[3, 4, END], [4, END]], [[4, END], [3, 4, END]]])
    with pytest.raises(ValueError, match="no value here: all words and phrases of"):
        fit_self_critical(tiny_captioner(), same, 0, [])


@pytest.mark.parametrize("objective", SELF_CRITICAL)
def test_one_caption_cannot_be_compared(objective):
    message = f"objective={objective} .* captions_per_image must be 2 or more"
    with pytest.raises(ValueError, match=message):
        Config(objective=objective, captions_per_image=1)
