"""The errors that are not bugs, a user's input and being asked to stop, and how to print them."""


class InputError(ValueError):
    """Bad input from outside: a file, a flag or an array. The message is one line that names the
    offending thing and says what was expected; scripts print it and exit with code 2."""


class Preempted(Exception):
    """A run that was asked to terminate and saved before it did; scripts exit with code 75."""


class WorkerLost(Exception):
    """Another process of the same run ended or does not answer; scripts exit with code 75."""


def printable(text: str) -> str:
    """A text with names out of a stranger's file, for a terminal: what would move its cursor is written out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
