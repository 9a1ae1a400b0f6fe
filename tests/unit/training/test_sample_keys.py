"""Keys of encoded samples differ wherever a file's content does."""

import pytest

from unison_backend.errors import ResourceError
from unison_backend.training.sample_keys import SLICE, SLICES, file_key, key_of


def test_parts_are_told_apart_by_their_borders():
    assert key_of(["ab", "c"]) != key_of(["a", "bc"]) != key_of(["abc"]) and key_of(["ab"]) == key_of([b"ab"])


def test_small_files_count_whole_and_large_ones_by_size_and_slices(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"\0" * 100 + b"1")
    other = tmp_path / "other"
    other.write_bytes(b"\0" * 100 + b"2")
    assert file_key(small) != file_key(other)
    large.write_bytes(bytes(SLICES * SLICE + 5))
    first = file_key(large)
    with large.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"1")
    last = file_key(large)
    large.write_bytes(bytes(SLICES * SLICE + 6))
    assert len({first, last, file_key(large)}) == 3


def test_a_folder_is_its_files_and_their_names(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "weights").write_bytes(b"1")
    key = file_key(tmp_path / "one")
    (tmp_path / "one" / "weights").rename(tmp_path / "one" / "others")
    assert file_key(tmp_path / "one") != key


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ResourceError, match="none cannot be read"):
        file_key(tmp_path / "none")
