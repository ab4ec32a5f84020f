"""Archives and pickles of other people, read without running anything that they say.

`load_archive` reads `.npz`, `load_pickle` plain pickle files. What is in an archive is told from what
it claims before it is read: a small file that unpacks to much, a shape without the bytes for it, a
member that is no array are refused. Pickled objects go through `mpm_keras.data.pickles`.
"""

from mpm_keras.data.pickles import loads
from mpm_keras.errors import InputError
from mpm_keras.files import check_plain_file
from mpm_keras.npz import read_npz

__all__ = ["load_archive", "load_pickle", "loads"]


def load_pickle(path):
    """The value of a pickle file: dicts, lists, tuples, sets, strings, numbers and NumPy arrays.

    Arrays are read-only and may share memory.

    Raises:
        InputError: the file is missing, is damaged, or names anything else; one line that names the
            file and, for a refused name, the name.
    """
    try:
        check_plain_file(path)
        with open(path, "rb") as file:
            return loads(file.read())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def load_archive(path, names=None) -> dict:
    """The arrays of an `.npz` file, those of objects too, as `numpy.load` would give them.

    Args:
        path: the file, compressed or not, written by NumPy 1 or 2.
        names: members to read, without `.npy`; all by default. The others are not unpacked.

    Returns:
        {name: array}. An array of objects holds dicts, lists, strings, numbers and arrays; a pickled
        dictionary is an array of shape (), and `.item()` is the dictionary. Arrays may be read-only
        and share memory.

    Raises:
        InputError: the file is missing, damaged or no `.npz`; a name is not in it; a member is no
            array of numbers, text or admitted objects; or it would unpack to far more than its size.
            One line that names the file.
    """
    return read_npz(path, names, objects=loads)
