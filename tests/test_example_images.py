"""The example photographs: written as files, or refused in one line."""

from PIL import Image

from example_images import __main__ as script


def test_photographs_are_written(tmp_path, capsys):
    folder = tmp_path / "new" / "photographs"
    assert script.main(["--output", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{name}.jpg" for name in script.PHOTOGRAPHS]
    for name in names:
        with Image.open(folder / name) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")


def test_a_file_is_refused(tmp_path, capsys):
    path = tmp_path / "file"
    path.touch()
    for output in (path, path / "photographs"):
        assert script.main(["--output", str(output)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("example_images: ") and error.count("\n") == 1
        assert str(path) in error
