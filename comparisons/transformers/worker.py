"""Makes random captioners with transformers; runs in that library's environment.

It imports nothing of what it is compared with. GIT captions without its cache, which
disagrees with its own forward pass.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    GitConfig,
    GitForCausalLM,
    GPT2Config,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

SPREAD = 0.2  # of random weights
TOKENS = 12
START, END, PADDING = 98, 99, 0
SIZE = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
VISION = SIZE | {"num_hidden_layers": 2, "image_size": 32, "patch_size": 16}
TEXT = SIZE | {
    "num_hidden_layers": 2,
    "vocab_size": 100,
    "max_position_embeddings": 40,
    "bos_token_id": START,
    "pad_token_id": PADDING,
}
SETTINGS = (  # of the search, one for each model in turn
    {},
    {"length_penalty": 2.0},
    {"length_penalty": 0.5, "early_stopping": True},
    {"length_penalty": -1.0},
    {"early_stopping": "never"},
    {"repetition_penalty": 1.5},
    {"no_repeat_ngram_size": 2},
    {"min_length": 6},
)


def blip():
    """Builds BLIP."""
    text = TEXT | {"sep_token_id": END, "eos_token_id": 2}
    config = BlipConfig(text_config=text, vision_config=VISION)
    model = BlipForConditionalGeneration(config)
    return model, lambda: model.text_decoder.cls.predictions.bias[END].add_(3.0)


def git():
    """Builds GIT."""
    config = GitConfig(
        **TEXT, vision_config=VISION, eos_token_id=END, tie_word_embeddings=False
    )
    model = GitForCausalLM(config)
    return model, lambda: model.output.bias[END].add_(2.0)


def vision_encoder_decoder():
    """Builds a vision Transformer with GPT-2."""
    decoder = GPT2Config(
        vocab_size=100,
        n_positions=40,
        n_embd=32,
        n_layer=2,
        n_head=4,
        bos_token_id=START,
        eos_token_id=END,
        add_cross_attention=True,
        is_decoder=True,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**VISION), decoder
    )
    config.decoder_start_token_id, config.pad_token_id = START, END
    config.eos_token_id = END
    model = VisionEncoderDecoderModel(config=config)
    inside = model.decoder.transformer
    return model, lambda: inside.wte.weight[END].add_(2.0 * inside.ln_f.bias)


FAMILIES = {
    "blip": blip,
    "git": git,
    "vision-encoder-decoder": vision_encoder_decoder,
}


def randomize(model, favour_end, seed: int) -> None:
    """Draws weights that differ; every other model likes to end its captions."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, SPREAD)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter += 1.0
        if seed % 2:
            favour_end()


def logits_of(model, family: str, pixels, tokens):
    """Returns what follows each token, (T, V)."""
    if family == "blip":
        seen = model.vision_model(pixel_values=pixels)[0]
        found = model.text_decoder(tokens, encoder_hidden_states=seen).logits
    elif family == "git":
        found = model(input_ids=tokens, pixel_values=pixels).logits
        found = found[:, -tokens.shape[1] :]
    else:
        found = model(pixel_values=pixels, decoder_input_ids=tokens).logits
    return found[0]


def caption(model, family: str, pixels, beam_size: int, settings: dict):
    """Returns the tokens of a caption without the start token."""
    options = {"num_beams": beam_size, "max_length": TOKENS + 1} | settings
    if beam_size == 1:  # these would be warned about
        options.pop("length_penalty", None)
        options.pop("early_stopping", None)
    if family == "git":
        options["use_cache"] = False
    return model.generate(pixel_values=pixels, **options)[0, 1:]


def main() -> None:
    """Writes models of each family, and what the library makes of a picture."""
    given, result, folder = sys.argv[1:]
    count, answer = int(np.load(given)["count"]), {}
    transformers.logging.set_verbosity_error()
    for family, build in FAMILIES.items():
        for seed in range(count):
            model, favour_end = build()
            randomize(model.eval(), favour_end, seed)
            name = f"{family}-{seed}"
            settings = SETTINGS[seed % len(SETTINGS)]
            model.save_pretrained(Path(folder) / name)
            path = Path(folder) / name / "generation_config.json"
            path.write_text(json.dumps({"max_length": TOKENS + 1} | settings))
            pixels = torch.randn(1, 3, 32, 32)
            tokens = torch.randint(1, 98, (1, TOKENS))
            with torch.no_grad():
                logits = logits_of(model, family, pixels, tokens)
                greedy = caption(model, family, pixels, 1, settings)
                beam = caption(model, family, pixels, 3, settings)
            found = {"tokens": tokens[0], "logits": logits}
            found |= {"greedy": greedy, "beam": beam}
            found["pixels"] = pixels.permute(0, 2, 3, 1)
            answer |= {f"{name}.{key}": v.numpy() for key, v in found.items()}
    answer["version"] = np.array(transformers.__version__)
    np.savez(result, **answer)


if __name__ == "__main__":
    main()
