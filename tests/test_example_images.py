"""The example photographs: written as files, or refused in one line."""

import pytest
from PIL import Image

from example_images import __main__ as script


def test_photographs_are_written(tmp_path, capsys):
    output = tmp_path / "new" / "photographs"
    assert script.main(["--output", str(output)]) == 0
    folders = [output / name for name in script.PHOTOGRAPHS]
    assert capsys.readouterr().out == "".join(f"{folder}\n" for folder in folders)
    for folder in folders:
        names = {f"{name}.jpg" for name in script.PHOTOGRAPHS[folder.name]}
        assert {path.name for path in folder.iterdir()} == names
        for path in folder.iterdir():
            with Image.open(path) as image:
                assert (image.format, image.mode) == ("JPEG", "RGB")


@pytest.mark.parametrize("below", [(), ("photographs",)])
def test_a_file_is_refused(tmp_path, capsys, below):
    path = tmp_path / "file"
    path.touch()
    assert script.main(["--output", str(path.joinpath(*below))]) == 2
    error = capsys.readouterr().err
    assert error.startswith("example_images: ") and error.count("\n") == 1
    assert str(path) in error
