"""A file for an answer of any size, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import IO

from ..core.problems import DatabaseUnavailable

#: Bytes that are kept in memory before they go to a file.
_IN_MEMORY = 1024 * 1024


@contextmanager
def spooled() -> Iterator[IO[bytes]]:
    """Yield a temporary file, which stays open unless writing it fails.

    Raises DatabaseUnavailable where no temporary file can be written.
    """
    file: IO[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY)
    try:
        yield file
        file.flush()  # what does not fit is refused now, not half sent
    except OSError as error:
        _discard(file)
        raise DatabaseUnavailable(
            f"The listing cannot be written to a temporary file: {error.strerror}."
        ) from error
    except BaseException:
        _discard(file)
        raise


def _discard(file: IO[bytes]) -> None:
    with suppress(OSError):  # closing tries once more to write what did not fit
        file.close()
