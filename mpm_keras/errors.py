"""The one error that a user's input may raise."""


class InputError(ValueError):
    """Bad input from outside: a file, a flag or an array. The message is one line that names the
    offending thing and says what was expected; scripts print it and exit with code 2."""
