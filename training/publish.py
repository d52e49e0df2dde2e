"""Uploads a finished run to the Hugging Face Hub, with a model card.

python -m training.publish RUN hf://USER/NAME

It goes where `huggingface_hub` is logged in (`hf auth login`). Whoever has this library
then loads it with load_captioner("hf://USER/NAME"), and nothing in it is executed.
"""

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from command_line import ANEW, fill_options, make_parser, run_script
from config import Config
from files.messages import reason_of
from files.reading import file_hash, read_json
from files.values import either, number, record, table, text
from models.captioner import load_run
from models.run_files import CHECKSUMS, HUB, CaptionerError, list_files
from training.dev_scores import SCORES

CARD, HISTORY = "README.md", "history.csv"
_ADDRESS = re.compile(r"hf://(\w[\w.-]*/\w[\w.-]*)")
_TOKEN = re.compile(r"hf_\w+")
_WEIGHTS = ("encoder.weights.h5", "decoder.weights.h5")
SCORED = record({"dev": table(either("a number or a text", number, text))})
HEAD = """\
---
library_name: keras
pipeline_tag: image-to-text
tags:
- image-captioning
- explainability
- layer-wise-relevance-propagation
{licence}---
"""
BODY = """\
# {name}

A captioner of photographs, trained with LRP-ImageCaptioning. Its words can be explained
by layer-wise relevance propagation and other methods.

| | |
|---|---|
| decoder | {decoder} |
| encoder | {encoder} |
| dataset | {dataset} |
| objective | {objective} |
| words | {num_words} |

## Scores

Of one caption for each image of dev, beam {beam_size}.

| metric | score |
|---|---|
{scores}

## Use

From a checkout of the library:

```python
from models import explain, load_captioner

captioner = load_captioner("{address}")
print(captioner.caption(["photo.jpg"])[0].text)
explain(captioner, "photo.jpg", method="lrp").save("out")
```

It is meant for research on explanations. It repeats what its training captions say, and
names things that are not there. Do not use it for decisions about people.
"""


@dataclass(frozen=True)
class PublishOptions:
    """What is uploaded, and where to.

    Attributes:
        run: The run directory.
        address: hf://USER/NAME.
        licence: The hub's name of the licence of the weights; None says none.
        private: Whether a new repository is private.
        overwrite: Whether to replace the files of a repository that is there.
    """

    run: Path
    address: str
    licence: str | None = None
    private: bool = False
    overwrite: bool = False


def parse(argv: list[str] | None) -> PublishOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m training.publish")
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="directory of a finished run")
    add("address", metavar="hf://USER/NAME", help="repository on the hub")
    add(
        "--licence",
        metavar="ID",
        help="licence of the weights as the hub spells it, such as cc-by-nc-4.0",
    )
    add("--private", action="store_true", help="make a new repository private")
    add("--overwrite", action="store_true", help="replace the files of a repository")
    return fill_options(PublishOptions, parser.parse_args(argv))


def read_files(options: PublishOptions) -> dict[str, Path | bytes]:
    """Returns what is uploaded by its names there; loads the captioner once.

    Raises:
        CaptionerError: The run is none, is not finished, or is damaged.
    """
    run = options.run
    files: dict[str, Path | bytes] = dict(list_files(run))
    if not (run / SCORES).is_file():
        raise CaptionerError(
            f"{run} holds no finished run (it has no {SCORES}). Finish it with "
            f"train.py --run {run} --resume."
        )
    captioner = load_run(run)
    scores = read_json(run / SCORES, SCORED)["dev"]
    sums = {name: file_hash(files[name]) for name in _WEIGHTS}
    files[CHECKSUMS] = (json.dumps(sums, indent=2) + "\n").encode()
    files |= {name: run / name for name in (SCORES, HISTORY) if (run / name).is_file()}
    own = run / CARD
    card = model_card(options, captioner.config, len(captioner.vocabulary), scores)
    return files | {CARD: own if own.is_file() else card.encode()}


def model_card(
    options: PublishOptions, config: Config, num_words: int, scores: Mapping
) -> str:
    """Writes what the hub shows of a captioner.

    Args:
        options: Gives the address and the licence.
        config: Of the captioner.
        num_words: Of the vocabulary.
        scores: Of dev, by name.
    """
    licence = f"license: {options.licence}\n" if options.licence else ""
    rows = (
        f"| {name} | {score if isinstance(score, str) else f'{score:.4f}'} |"
        for name, score in scores.items()
    )
    names = ("decoder", "encoder", "dataset", "objective", "beam_size")
    return HEAD.format(licence=licence) + BODY.format(
        name=options.address.rpartition("/")[2],
        address=options.address,
        num_words=num_words,
        scores="\n".join(rows),
        **{name: getattr(config, name) for name in names},
    )


def publish(options: PublishOptions) -> str:
    """Uploads a run in one commit; returns the address of its page.

    Raises:
        CaptionerError: The run cannot be published; see `read_files`.
        ValueError: The address is none, the repository is there already, the package
            is missing, or the hub refuses.
    """
    found = _ADDRESS.fullmatch(options.address)
    if not found:
        raise ValueError(f"expected {HUB}USER/NAME; received {options.address!r}.")
    files = read_files(options)
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            "training.publish needs the package huggingface_hub. Install it: pip "
            "install -r requirements-published.txt."
        ) from error
    name, api = found[1], huggingface_hub.HfApi(library_name="keras")
    with _naming(options):
        is_there = api.repo_exists(name)
    if is_there and not options.overwrite:
        raise ValueError(
            f"{options.address} exists. Replace its files (--overwrite) or name "
            "another repository."
        )
    with _naming(options):
        api.create_repo(name, private=options.private, exist_ok=True)
        added = [
            huggingface_hub.CommitOperationAdd(path, file)
            for path, file in sorted(files.items())
        ]
        message = f"Captioner {name.rpartition('/')[2]}"
        api.create_commit(name, operations=added, commit_message=message)
    return f"https://huggingface.co/{name}"


@contextlib.contextmanager
def _naming(options: PublishOptions) -> Iterator[None]:
    """Turns errors of the hub into one that names the repository, and no token."""
    try:
        yield
    except Exception as error:  # of the hub, its client and the network
        reason = _TOKEN.sub("hf_...", reason_of(error)).rstrip(".")
        raise ValueError(
            f"{options.address} cannot be written: {reason}. Log in (hf auth login) "
            "with a token that may write there."
        ) from None


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("training.publish", lambda: print(publish(parse(argv))), ANEW)


if __name__ == "__main__":
    sys.exit(main())
