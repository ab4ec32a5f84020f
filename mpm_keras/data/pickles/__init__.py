"""Pickles of other people, read without running anything that they say.

Community archives (VideoPose3D's `data_3d_h36m.npz`, detector outputs, AIST++) are pickles, and a
pickle is a program. Here a small machine of our own follows it: a name in the pickle never becomes
a Python object, only one of a few words that this module knows (`numpy.ndarray`, `builtins.set`),
and arrays are made from their bytes by this module. Everything else is refused by name.

Admitted: dicts, lists, tuples, sets, strings, bytes, numbers, None, and NumPy arrays, scalars and
dtypes of plain kinds, as NumPy 1 and 2 write them, in pickle protocols 0 to 5 of Python 2 and 3.
Keys of dicts and members of sets are strings, 64-bit integers, or flat tuples of them: other keys
can be made to collide, which takes hours.
"""

from mpm_keras.data.pickles.opcodes import loads

__all__ = ["loads"]
