"""Standard output: complete, or one line on standard error and exit code 1."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click

#: Characters that are printed before a change is committed. A pipe or terminal with
#: room takes 4,096 bytes at once: no other writer waits for a slow reader.
_BEFORE_COMMIT = 1000

#: Milliseconds between two looks whether a pipe has been read.
_LOOK = 10


@contextmanager
def whole_output() -> Iterator[None]:
    """Have the output of the context written completely, or a fault raised.

    Raises ClickException, before anything is done, where nobody can read it.
    """
    refuse_lost_output()
    out = sys.stdout
    raw = getattr(out, "buffer", None)
    if not isinstance(raw, io.RawIOBase):
        yield
        return
    # With PYTHONUNBUFFERED, Python drops what a full disk does not take, silently.
    whole = io.TextIOWrapper(io.BufferedWriter(raw), out.encoding, out.errors)
    sys.stdout = whole
    try:
        yield
    finally:
        sys.stdout = out
        with faults_reported():
            whole.detach().detach()


def refuse_lost_output() -> None:
    """Raise ClickException if nobody can read the output; wait until it has room."""
    if sys.stdout is None:  # click would print nothing and report success
        raise click.ClickException("The output cannot be written: it is closed.")
    try:
        poll = select.poll()
        poll.register(sys.stdout, select.POLLOUT)
    except (AttributeError, OSError, ValueError):  # on Windows; no file, as in tests
        return
    if any(event & select.POLLERR for _, event in poll.poll()):
        raise click.ClickException("The output cannot be written: nobody reads it.")


def keep_errors_off_output() -> None:
    """Drop what goes to standard error where it is closed.

    click would print it on standard output, where a script takes it for a token.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")


@contextmanager
def faults_reported() -> Iterator[None]:
    """Report an output that fails in the context in one line with exit code 1."""
    refuse_lost_output()
    try:
        yield
    except OSError as error:
        raise _fault(error) from None


@contextmanager
def answer() -> Iterator[Callable[[str], None]]:
    """Yield a function that begins to print the answer to a change.

    To be called last, before the change is committed: where nobody can read the
    answer, it raises ClickException, and nothing is changed; nor if it is called again
    after a commit that failed, since what was printed stays. The end of the last line
    is printed when the context succeeds: who reads a whole line, or the exit code 0,
    reads it after the commit.
    """
    rest = ""

    def begin(text: str) -> None:
        nonlocal rest
        if rest:
            raise click.ClickException(
                "Not done: the database was busy with another change. Run it again."
            )
        text = encodable(text)
        with faults_reported():
            click.echo(text[:_BEFORE_COMMIT], nl=False)
        rest = text[_BEFORE_COMMIT:] + "\n"

    refuse_lost_output()
    try:
        yield begin
    except BaseException:
        if rest:  # the error gets a line of its own
            note("")
        raise
    try:
        click.echo(rest, nl=False)
    except BrokenPipeError:  # as head does: it has read what it wanted, and it is done
        _discard(sys.stdout)
    except OSError as error:
        raise _fault(error) from None


def hand_over(text: str) -> bool:
    """Print *text*, and wait until the reader of a pipe has taken it.

    Return whether there is still somebody who reads: a reader that leaves takes what
    is in the pipe with it. Raises ClickException for any other fault.
    """
    try:
        click.echo(encodable(text), nl=False)
    except BrokenPipeError:
        is_read = False
    except OSError as error:
        raise _fault(error) from None
    else:
        is_read = _is_taken(sys.stdout)
    if not is_read:
        _discard(sys.stdout)
    return is_read


def _is_taken(stream: TextIO) -> bool:
    """Wait until nothing is left in the pipe *stream*; return False if nobody reads."""
    try:
        from fcntl import ioctl
        from termios import FIONREAD

        handle = stream.fileno()
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            return True
        poll = select.poll()
        poll.register(handle, 0)  # only whether the reader has left
        while any(ioctl(handle, FIONREAD, bytes(4))):
            if poll.poll(_LOOK):
                return False
    except (ImportError, OSError, ValueError):  # on Windows; no file, as in tests
        pass
    return True


def note(text: str) -> None:
    """Print a line on standard error, if it can be read there."""
    try:
        click.echo(text, err=True)
    except OSError:
        _discard(sys.stderr)


def encodable(text: str) -> str:
    """Return *text* with the characters escaped that the screen's encoding lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _fault(error: OSError) -> click.ClickException:
    _discard(sys.stdout)
    return click.ClickException(f"The output cannot be written: {error.strerror}.")


def _discard(stream: TextIO) -> None:
    """Drop what could not be written to *stream*.

    Otherwise Python tries again when it ends, and fails with exit code 120.
    """
    with suppress(OSError, ValueError):  # no file, as in tests
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
