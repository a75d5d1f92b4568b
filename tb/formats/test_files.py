"""Files appear whole or not at all."""

import pytest

from formats.files import whole, write_whole


@pytest.mark.parametrize("content", ["a line\n", b"\0\xff"])
def test_a_file_is_written_with_its_folders_and_nothing_else_is_left(tmp_path, content):
    path = tmp_path / "a" / "b" / "file"
    write_whole(path, "older")
    write_whole(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_in_the_middle_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("older")

    def interrupted():
        with whole(path) as partial:
            partial.write_text("half")
            assert path.read_text() == "older"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_what_writes_nothing_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="file'"), whole(tmp_path / "file"):
        pass


def test_a_folder_that_is_not_there_is_told_by_the_name_that_was_given(tmp_path):
    path = tmp_path / "none" / "file"
    with pytest.raises(FileNotFoundError) as caught, whole(path) as partial:
        partial.write_text("a line")
    assert caught.value.filename == str(path)
