"""Number blocks: in memory or in a file, the same matrix; a full disk is told by its folder."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import numpy as np
import pytest

from assets.errors import DiskError
from assets.features import number_block
from assets.features.number_block import NumberBlock
from assets.storage.disk_errors import disk_error
from assets.storage.home import Home


@pytest.mark.parametrize("large", [1, 10**9])
def test_a_block_is_the_matrix_of_its_columns_and_can_be_written_to(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    """Whatever their type was; each column lies in one piece."""
    monkeypatch.setattr(number_block, "LARGE", large)
    columns = [np.array([1.5, np.nan, -0.0]), np.array([1, 2, 3]), np.arange(6.0)[::2]]
    block = NumberBlock(3, 3)
    for column in columns:
        block.add(column)
    table = block.table()
    np.testing.assert_array_equal(table, np.column_stack(columns))
    assert table.flags.f_contiguous
    table[0, 0] = 7.0
    assert table[0].tolist() == [7.0, 1.0, 0.0]


def test_a_full_disk_is_told_by_the_folder_of_temporary_files(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has no name, and is gone when somebody asks how full the disk is."""
    monkeypatch.setattr(number_block, "LARGE", 1)
    with Path("/dev/full").open("w+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
        with pytest.raises(OSError, match="No space left") as raised:
            NumberBlock(2, 3).add(np.zeros(3))
    assert raised.value.errno == errno.ENOSPC
    assert isinstance(told := disk_error(home, raised.value), DiskError)
    assert str(told).startswith(f"the folder for temporary files, {tempfile.gettempdir()}, is on a disk that is full (")
