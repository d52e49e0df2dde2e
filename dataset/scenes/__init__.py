"""Rendered scenes: a dataset with exact boxes and masks that needs no download."""

from dataset.scenes.scenes import (
    SCENES,
    Scene,
    check_num_images,
    read_scenes,
    render_scene,
    save_image,
    scene_seed,
    write_scenes,
)

__all__ = [
    "SCENES",
    "Scene",
    "check_num_images",
    "read_scenes",
    "render_scene",
    "save_image",
    "scene_seed",
    "write_scenes",
]
