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
GPT2 = {
    "vocab_size": 100,
    "n_positions": 40,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "bos_token_id": START,
    "eos_token_id": END,
}
TINY_TEXT = {
    "blip": TEXT | {"sep_token_id": END, "eos_token_id": 2},
    "git": TEXT | {"eos_token_id": END, "tie_word_embeddings": False},
    "vision-encoder-decoder": GPT2,
}


def blip(text: dict, vision: dict):
    """Builds BLIP."""
    config = BlipConfig(text_config=text, vision_config=vision)
    return BlipForConditionalGeneration(config)


def git(text: dict, vision: dict):
    """Builds GIT."""
    return GitForCausalLM(GitConfig(**text, vision_config=vision))


def vision_encoder_decoder(text: dict, vision: dict):
    """Builds a vision Transformer with GPT-2."""
    decoder = GPT2Config(**text, add_cross_attention=True, is_decoder=True)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**vision), decoder
    )
    config.decoder_start_token_id = decoder.bos_token_id
    config.eos_token_id = config.pad_token_id = decoder.eos_token_id
    return VisionEncoderDecoderModel(config=config)


FAMILIES = {
    "blip": blip,
    "git": git,
    "vision-encoder-decoder": vision_encoder_decoder,
}


def build_tiny(family: str, seed: int):
    """Builds a random model; every other one likes to end its captions."""
    model = FAMILIES[family](TINY_TEXT[family], VISION).eval()
    randomize(model, seed)
    with torch.no_grad():
        if family == "blip":  # versions before 5 forget that both are one table
            words = model.text_decoder.get_input_embeddings().weight
            model.text_decoder.get_output_embeddings().weight.copy_(words)
        if seed % 2:
            favour_end(model, family)
    return model


def favour_end(model, family: str) -> None:
    """Makes the end token likelier."""
    if family == "blip":
        model.text_decoder.cls.predictions.bias[END] += 3.0
    elif family == "git":
        model.output.bias[END] += 2.0
    else:
        inside = model.decoder.transformer
        inside.wte.weight[END] += 2.0 * inside.ln_f.bias


def randomize(model, seed: int) -> None:
    """Draws weights that differ."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, SPREAD)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter += 1.0


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


def gradients(model, family: str, pixels, read, written):
    """Computes one forward pass, and a backward pass for each token of a caption.

    Args:
        model: The model.
        family: A key of FAMILIES.
        pixels: (1, 3, H, W).
        read: The tokens that the decoder reads (T,).
        written: Those whose logits are differentiated (T,).

    Returns:
        The logits (T, V); the pixels and the embedded tokens (1, T, D); for each token
        the gradients of both.
    """
    inputs = [pixels.clone().requires_grad_()]

    def hold(layer, arguments, output):
        inputs.append(output.detach().requires_grad_())
        return inputs[1].clone()  # the library adds to it in place

    text = getattr(model, "text_decoder", getattr(model, "decoder", model))
    handle = text.get_input_embeddings().register_forward_hook(hold)
    logits = logits_of(model, family, inputs[0], read[None])
    handle.remove()
    return (
        logits.detach(),
        [x.detach() for x in inputs],
        [
            torch.autograd.grad(logits[step, token], inputs, retain_graph=True)
            for step, token in enumerate(written)
        ],
    )


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
    for family in FAMILIES:
        for seed in range(count):
            model = build_tiny(family, seed)
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
