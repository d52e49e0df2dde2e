"""Training batches: every word is predicted once from the words before it."""

from pathlib import Path

import numpy as np
import pytest

from dataset.batches import CaptionBatches, cut_windows, fill_up, pack_captions
from dataset.records import CaptionedImage
from dataset.vocabulary import END, PADDING, START, Vocabulary

WORDS = ("a", "dog", "cat", "runs", "sits", "and", "eats")
NUM_IMAGES, B, N, MAX_WORDS = 7, 3, 2, 4
SHAPE = (1, 2, 3)


def image(number, *captions):
    return CaptionedImage(f"{number}", Path(f"{number}.jpg"), captions)


def random_images(seed=0):
    """Images of one to four captions with one to six words."""
    generator = np.random.default_rng(seed)
    return [
        image(
            number,
            *(
                " ".join(generator.choice(WORDS, generator.integers(1, 7)))
                for _ in range(generator.integers(1, 5))
            ),
        )
        for number in range(NUM_IMAGES)
    ]


def batches_of(images, max_predictions=99, variants=1, captions_per_image=N, seed=0):
    # The features of an image hold its number and the variant's.
    features = [
        np.stack([np.full(SHAPE, 10 * v + n, "float16") for n in range(len(images))])
        for v in range(variants)
    ]
    return CaptionBatches(
        images,
        features,
        Vocabulary(WORDS),
        images_per_batch=B,
        captions_per_image=captions_per_image,
        max_words=MAX_WORDS,
        max_predictions=max_predictions,
        seed=seed,
    )


def image_numbers(inputs):
    return inputs["features"][:, 0, 0, 0].astype(int)


def test_pack_captions_by_hand():
    short, long = np.array([5, END]), np.array([6, 7, 8, END])
    packed = pack_captions([[short, long], [long, short]], 3, 7, None)
    np.testing.assert_array_equal(
        packed.tokens,
        [
            [[START, 5, PADDING, PADDING], [START, 6, 7, 8]],
            [[START, 6, 7, 8], [START, 5, PADDING, PADDING]],
        ],
    )
    np.testing.assert_array_equal(
        packed.positions, [[0, 1, 4, 5, 6, 7, 0], [0, 1, 2, 3, 4, 5, 0]]
    )
    np.testing.assert_array_equal(
        packed.targets, [[5, END, 6, 7, 8, END, 0], [6, 7, 8, END, 5, END, 0]]
    )
    np.testing.assert_array_equal(packed.weights, [[1, 1, 1, 1, 1, 1, 0]] * 2)
    assert packed.tokens.dtype == packed.positions.dtype == "int32"
    assert packed.weights.dtype == "f4"


@pytest.mark.parametrize("captions_per_image", [2, 3])
def test_every_word_of_every_caption_is_predicted_once(captions_per_image):
    images = random_images()
    batches = batches_of(images, captions_per_image=captions_per_image)
    vocabulary = Vocabulary(WORDS)
    seen = []
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        for row, number in enumerate(image_numbers(inputs)):
            kept = weights[row] > 0
            if not kept.any():
                continue  # it fills the last batch up
            seen.append(number)
            positions = inputs["positions"][row][kept]
            assert len(set(positions)) == kept.sum()
            predicted = read_captions(positions, targets[row][kept])
            assert len(predicted) == captions_per_image
            known = [vocabulary.encode(c, MAX_WORDS) for c in images[number].captions]
            for caption in predicted:
                assert caption in [list(tokens) for tokens in known]
    assert sorted(seen) == list(range(NUM_IMAGES))


def read_captions(positions, targets):
    """Puts the predicted words of an image together again."""
    captions = {}
    for position, word in sorted(zip(positions, targets, strict=True)):
        captions.setdefault(position // (MAX_WORDS + 1), []).append(word)
    return list(captions.values())


def test_tokens_are_the_targets_shifted():
    batches = batches_of(random_images(1))
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        tokens = inputs["tokens"]
        assert np.all(tokens[:, :, 0] == START)
        for row, column in np.argwhere(weights > 0):
            caption, step = divmod(inputs["positions"][row, column], MAX_WORDS + 1)
            if step < MAX_WORDS:
                following = tokens[row, caption, step + 1]
                word = targets[row, column]
                assert following == (PADDING if word == END else word)


def test_a_subset_is_drawn_anew_in_each_epoch():
    images = [image(0, "a dog runs", "a cat sits and eats"), image(1, "a")]
    batches = batches_of(images, max_predictions=5)
    drawn, counts = set(), np.zeros(2 * (MAX_WORDS + 1))
    for _ in range(120):
        inputs, targets, weights = batches[0]
        row = list(image_numbers(inputs)).index(0)
        assert weights[row].sum() == 5
        assert weights[1 - row].sum() == 4  # one word and the end, twice
        positions = inputs["positions"][row]
        assert len(set(positions)) == 5
        drawn.add(tuple(positions))
        counts[positions] += 1
        tokens = inputs["tokens"][row].ravel()
        for position, word in zip(positions, targets[row], strict=True):
            if word != END:
                assert tokens[position + 1] == word
        batches.on_epoch_end()
    assert len(drawn) > 50
    # Five of nine words in ten places, one of which is empty: the last one of the
    # first or of the second caption. Counts are binomial around 67, for these two
    # places around 33: eight is five standard deviations off.
    assert np.all(counts > 8)


def test_an_epoch_depends_on_the_seed_and_its_number_alone():
    images = random_images(2)
    straight, resumed = batches_of(images, 5, 2), batches_of(images, 5, 2)
    for _ in range(3):
        straight.on_epoch_end()
    resumed.start_epoch(3)
    for index in reversed(range(len(straight))):
        assert_equal(straight[index], resumed[index])
        assert_equal(straight[index], straight[index])
    straight.on_epoch_end()
    assert np.any(image_numbers(straight[0][0]) != image_numbers(resumed[0][0]))
    other = batches_of(images, 5, 2, seed=1)
    other.start_epoch(3)
    assert np.any(image_numbers(other[0][0]) != image_numbers(resumed[0][0]))


def assert_equal(one, other):
    for name in one[0]:
        np.testing.assert_array_equal(one[0][name], other[0][name])
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(one[2], other[2])


def test_both_variants_of_an_image_are_used():
    batches = batches_of(random_images(), variants=2)
    seen = set()
    for _ in range(12):
        for index in range(len(batches)):
            seen |= set(image_numbers(batches[index][0]))
        batches.on_epoch_end()
    assert seen == {*range(NUM_IMAGES), *range(10, 10 + NUM_IMAGES)}


def test_the_last_batch_is_filled_up_without_weight():
    batches = batches_of(random_images())
    assert len(batches) == 3
    inputs, targets, weights = batches[2]
    assert inputs["features"].shape == (B, *SHAPE)
    assert inputs["tokens"].shape == (B, N, MAX_WORDS + 1)
    assert inputs["positions"].shape == targets.shape == weights.shape == (B, 99)
    assert weights[0].any() and not weights[1:].any()


def test_filling_up_repeats_the_images_there_are():
    weights = np.ones((2, 5), "float32")
    features = np.array([[3.0], [4.0]])
    batch = ({"features": features}, np.zeros((2, 5)), weights)
    inputs, targets, filled = fill_up(batch, 5)
    np.testing.assert_array_equal(inputs["features"][:, 0], [3, 4, 3, 4, 3])
    np.testing.assert_array_equal(filled.sum(1), [5, 5, 0, 0, 0])
    assert targets.shape == (5, 5) and weights.all()
    assert fill_up(batch, 2) is batch


def test_images_with_fewer_captions_repeat_them():
    batches = batches_of([image(0, "a dog", "a cat")], captions_per_image=5)
    tokens = batches[0][0]["tokens"][0]
    second_words = sorted(tokens[:, 2])
    assert second_words in ([4, 4, 4, 5, 5], [4, 4, 5, 5, 5])


def test_all_captions_of_an_image_take_their_turn():
    captions = ["a", "dog", "cat", "runs", "sits"]
    batches = batches_of([image(0, *captions)])
    seen = set()
    for _ in range(20):
        first, second = batches[0][0]["tokens"][0, :, 1]
        assert first != second
        seen |= {first, second}
        batches.on_epoch_end()
    assert seen == {3, 4, 5, 6, 7}


def test_windows_are_parts_of_the_features():
    features = np.arange(2 * 5 * 4 * 3).reshape(2, 5, 4, 3)
    found = cut_windows(np.repeat(features, 50, 0), 0.6, np.random.default_rng(0))
    assert found.shape == (100, 3, 2, 3)
    corners = {(int(w[0, 0, 0]) % 60 // 12, int(w[0, 0, 0]) % 12 // 3) for w in found}
    assert corners == {(top, left) for top in range(3) for left in range(3)}
    for number, window in enumerate(found):
        top, left = np.argwhere(features[number // 50, ..., 0] == window[0, 0, 0])[0]
        whole = features[number // 50]
        np.testing.assert_array_equal(window, whole[top : top + 3, left : left + 2])


def test_batches_show_windows():
    images = random_images()
    features = [np.zeros((NUM_IMAGES, 5, 4, 3), "float16")]
    arguments = (images, features, Vocabulary(WORDS), B, N, MAX_WORDS, 99)
    inputs, *_ = CaptionBatches(*arguments, window_share=0.5)[0]
    assert inputs["features"].shape == (B, 2, 2, 3)
