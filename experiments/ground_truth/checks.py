"""Which words of a captioner rest on their evidence, found by edited pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dataset.scenes.evidence import ABOUT, EvidenceScene, ToldWord
from models.captioner import Captioner
from models.explainers.decoder_stage import decoder_tokens
from models.explainers.deletion import predict_variants
from training.data import encode_images

REQUIRED = 0.9  # share of the edits that must change a word, and that must leave it


def check_words(
    captioner: Captioner, scenes: Sequence[EvidenceScene], cache_dir: Path
) -> list[dict]:
    """Asks for every content word after the words before it, in all edited pictures.

    Args:
        captioner: The model.
        scenes: With their edits.
        cache_dir: The features of images.

    Returns:
        A record of each scene, {"image_id": ..., "words": ...}; see `_check_word`.
    """
    pictures = [[s.record, *(edit.record for edit in s.edits)] for s in scenes]
    flat = [record for of_scene in pictures for record in of_scene]
    frozen = encode_images(captioner, flat, cache_dir).features
    most, start, found = max(map(len, pictures)), 0, []
    for scene, of_scene in zip(scenes, pictures, strict=True):
        tokens = captioner.read_text(scene.record.captions[0])
        own = frozen[start : start + len(of_scene)]
        said = predict_words(captioner, own, tokens, most)  # compiled for one size
        words = [
            _check_word(scene, step, word, said[: len(of_scene), step] == tokens[step])
            for step, word in enumerate(scene.words)
            if word.about
        ]
        found.append({"image_id": scene.record.image_id, "words": words})
        start += len(of_scene)
    return found


def predict_words(
    captioner: Captioner, frozen: np.ndarray, tokens: np.ndarray, count: int
) -> np.ndarray:
    """Returns the likeliest word at every place of a sentence, after its own words.

    Args:
        captioner: The model.
        frozen: What the encoder's frozen part made of n pictures (n, h, w, C).
        tokens: The ids of the sentence (T,).
        count: Rows to compute; the last picture fills them up.

    Returns:
        Ids (count, T).
    """
    rows = np.minimum(np.arange(count), len(frozen) - 1)
    features = captioner.finish_features(frozen[rows])
    tokens_read = decoder_tokens(captioner, tokens)  # (S,)
    nothing = np.zeros((count, len(tokens_read)), bool)
    steps = np.tile(np.arange(len(tokens_read), dtype="int32"), (count, 1))
    logits = predict_variants(captioner, features, tokens_read, nothing, steps)
    return logits.argmax(-1)[:, : len(tokens)]


def _check_word(
    scene: EvidenceScene, step: int, word: ToldWord, stays: np.ndarray
) -> dict:
    """Compares a word's edits.

    Args:
        scene: Of the word.
        step: The word's place in the caption.
        word: The word.
        stays: Whether it is the likeliest in the picture and in each edit, (1 + E,).

    Returns:
        The step, the word and what it is about; whether it "is_right"; the shares of
        the edits of its evidence that "changed" it and of the others in which it
        "stayed", None where there is none; and whether it "rests" on its evidence.
    """
    edits = [edited.edit for edited in scene.edits]
    own = np.array([edit.is_of_evidence(word) for edit in edits], bool)
    others = np.array([edit.is_elsewhere(word) for edit in edits], bool)
    is_right, stays = bool(stays[0]), stays[1:]
    changed, stayed = _share(~stays[own]), _share(stays[others])
    rests = is_right and min(changed or 0, stayed or 0) >= REQUIRED
    return {
        "step": step,
        "word": word.text,
        "about": word.about,
        "is_right": is_right,
        "changed": changed,
        "stayed": stayed,
        "rests": rests,
    }


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None


def summarize_checks(checks: Sequence[Mapping]) -> dict[str, dict[str, float]]:
    """Counts the words of each kind.

    Returns:
        Of each of ABOUT that occurs: the number of "words"; the shares that are
        "right", and, of the right ones, the mean shares "changed" and "stayed" and the
        share that "rests" on its evidence.
    """
    words = [word for scene in checks for word in scene["words"]]
    by_kind = {about: [w for w in words if w["about"] == about] for about in ABOUT}
    return {about: _summarize(some) for about, some in by_kind.items() if some}


def _summarize(words: Sequence[Mapping]) -> dict[str, float]:
    right = [word for word in words if word["is_right"]]
    found = {"words": len(words), "right": len(right) / len(words)}
    for name in ("changed", "stayed", "rests"):
        values = [word[name] for word in right if word[name] is not None]
        found[name] = float(np.mean(values)) if values else float("nan")
    return found
