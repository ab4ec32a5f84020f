"""The machine that a pickle is a program for: a stack, a memo, and a budget of memory."""

import struct

import numpy as np

from mpm_keras.data.pickles.values import (
    CALLS,
    GLOBALS,
    LONG,
    MARK,
    SYMBOLS,
    Args,
    Array,
    Dtype,
    Global,
    LongText,
    make_array,
)
from mpm_keras.errors import InputError

# What objects may cost beyond twice the pickle's own size: small Python objects are larger than their opcodes.
ALLOWANCE = 64 << 20
MAX_DEPTH = 64
MAX_UNFOLDED = 1 << 20  # members of all containers, counted as often as they are referred to
_KEYS = frozenset((str, bytes, int, bool, type(None)))


class Machine:
    """The stack, the memo and the reading position of one pickle."""

    def __init__(self, data):
        self.data, self.at = memoryview(data).toreadonly(), 0
        self.stack, self.memo = [], {}
        self.budget = ALLOWANCE + 2 * len(data)

    def result(self):
        """What the program leaves on the stack."""
        value = self.plain(*self.pop(1))
        check_structure(value, MAX_UNFOLDED + 4 * len(self.data))
        return value

    # Reading

    def take(self, count: int) -> memoryview:
        if not 0 <= count <= len(self.data) - self.at:
            raise InputError(f"a damaged or truncated pickle: {count} bytes expected at byte {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        end = self.at
        while end < len(self.data):  # in pieces: memoryviews have no find
            piece = bytes(self.data[end : end + 4096])
            found = piece.find(b"\n")
            if found >= 0:
                line = bytes(self.take(end + found - self.at))
                self.at += 1
                return line
            end += len(piece)
        raise InputError(f"a damaged or truncated pickle: no end of line after byte {self.at}")

    # The stack

    def charge(self, size: int) -> None:
        """Counts what is about to be held against what a pickle of this size may hold."""
        self.budget -= size
        if self.budget < 0:
            raise InputError("the pickle would take far more memory than its size; refused")

    def push(self, value, size: int = 40) -> None:
        self.charge(size)
        self.stack.append(value)

    def push_text(self, view, encoding="utf-8") -> None:
        text = LongText(view, encoding)
        self.push(text if len(view) >= LONG else text.text(), 80 + min(len(view), LONG))

    def push_bytes(self, view) -> None:
        self.push(view if len(view) >= LONG else bytes(view), 184 if len(view) >= LONG else 48 + len(view))

    def pop_mark(self) -> list:
        """Takes everything above the last mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                items = self.stack[at + 1 :]
                del self.stack[at:]
                return items
        raise InputError(f"a damaged pickle: no mark on the stack at byte {self.at}")

    def pop(self, count: int) -> list:
        if len(self.stack) < count:
            raise InputError(f"a damaged pickle: the stack is empty at byte {self.at}")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def top(self, kind):
        if not self.stack or type(self.stack[-1]) is not kind:
            found = type(self.stack[-1]).__name__ if self.stack else "nothing"
            raise InputError(f"a damaged pickle: a {kind.__name__} expected at byte {self.at}, found {found}")
        return self.stack[-1]

    # Values

    def plain(self, value):
        """The value as one to hand out; refuses what only stands for something."""
        kind = type(value)
        if kind not in SYMBOLS:
            return value
        if kind is LongText:
            self.charge(len(value.view))
            return value.text()
        if kind is memoryview:
            self.charge(len(value))
            return bytes(value)
        if kind is Dtype:
            return value.dtype()
        if kind is Args:
            if any(type(item) is Args for item in value):
                raise InputError(f"nested tuples of arrays' parts are refused, at byte {self.at}")
            return tuple(self.plain(item) for item in value)
        raise InputError(f"{value.name} as a value is refused" if kind is Global else "a damaged pickle: no value")

    def push_integer(self, count: int) -> None:
        self.push(int.from_bytes(self.take(count), "little", signed=True), 40 + count)

    def push_tuple(self, items: list) -> None:
        kind = Args if any(type(item) in SYMBOLS for item in items) else tuple
        if any(item is MARK for item in items):
            raise InputError(f"a damaged pickle: a mark in a tuple at byte {self.at}")
        self.push(kind(items), 64 + 8 * len(items))

    def key(self, value):
        value = self.plain(value)
        value = value.item() if isinstance(value, np.generic) else value
        members = value if type(value) is tuple else (value,)
        bits = 31 if type(value) is tuple else 63
        for member in members:
            if type(member) not in _KEYS or (type(member) is int and member.bit_length() > bits):
                raise InputError(f"{type(member).__name__} as a key of a dict or in a set is refused")
        return value

    def extend(self, items: list) -> None:
        self.charge(9 * len(items))
        self.top(list).extend([self.plain(item) for item in items])

    def update(self, items: list) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise InputError(f"a damaged pickle: a key without a value at byte {self.at}")
        self.charge((128 if not target and items else 0) + 60 * len(items))
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self.key(key)] = self.plain(value)

    def members(self, items) -> set:
        self.charge(240 + 80 * len(items))
        return {self.key(item) for item in items}

    def put(self, index: int) -> None:
        if not self.stack or self.stack[-1] is MARK:
            raise InputError(f"a damaged pickle: nothing to remember at byte {self.at}")
        self.charge(130)
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise InputError(f"a damaged pickle: nothing remembered as {index}, at byte {self.at}")
        value = self.memo[index]
        if type(value) is Array:
            if value.value is None:
                raise InputError("an array that holds itself is refused")
            value = value.value
        self.push(value, 8)

    # What pickles do with names

    def name(self, module, name) -> None:
        if type(module) is not str or type(name) is not str:
            raise InputError(f"a damaged pickle: a name that is no text at byte {self.at}")
        full = f"{module}.{name}"
        if full not in GLOBALS:
            raise InputError(f"the pickle asks for {' '.join(full.split())[:120]}, which is refused; nothing was run")
        self.push(Global(full), 64)

    def reduce(self) -> None:
        function, args = self.pop(2)
        if type(function) is not Global or type(args) not in (tuple, Args):
            raise InputError(f"a call of {type(function).__name__} is refused, at byte {self.at}")
        call, fewest, most = CALLS.get(function.word, (None, 1, 0))
        if not fewest <= len(args) <= most:
            raise InputError(f"a call of {function.name} with {len(args)} arguments is refused, at byte {self.at}")
        self.push(call(self, *args), 120)

    def build(self) -> None:
        target, state = self.pop(2)
        length = len(state) if type(state) in (tuple, Args) else 0
        if type(target) is Array and target.value is None and length == 5 and state[0] == 1:
            _, shape, dtype, fortran, raw = state
            target.value = make_array(self, raw, dtype, shape, "F" if fortran else "C")
            self.push(target.value, 160)
        elif type(target) is Dtype and length == 8 and state[1] in ("<", ">", "|", "="):
            if state[2:5] != (None, None, None):
                raise InputError("a dtype with fields is refused")
            target.order = state[1] if target.code[0] not in "bSO" else "|"
            self.push(target, 8)
        else:
            kind = target.name if type(target) is Global else type(target).__name__
            raise InputError(f"a state of {type(state).__name__} for {kind} is refused, at byte {self.at}")


def check_structure(root, limit: int) -> None:
    """Refuses values that hold themselves, nest too deeply, or unfold to more members than `limit`."""
    unfolded, depth, above = {}, {}, set()
    pending = [(root, False)]
    while pending:
        value, done = pending.pop()
        children = _children(value)
        if children is None or id(value) in unfolded:
            continue
        inner = [child for child in children if _children(child) is not None]
        if not done:
            above.add(id(value))
            if any(id(child) in above for child in inner):
                raise InputError("the pickle holds a container that holds itself; refused")
            pending.append((value, True))
            pending.extend((child, False) for child in inner)
            continue
        above.discard(id(value))
        unfolded[id(value)] = len(children) + sum(unfolded[id(child)] for child in inner)
        depth[id(value)] = 1 + max((depth[id(child)] for child in inner), default=0)
        if depth[id(value)] > MAX_DEPTH:
            raise InputError(f"the pickle nests deeper than {MAX_DEPTH} containers; refused")
        if unfolded[id(value)] > limit:
            raise InputError("the pickle unfolds to far more than it holds; refused")


def _children(value):
    """What a container holds; None for anything else. Sets and keys hold no containers."""
    kind = type(value)
    if kind is dict:
        return value.values()
    if kind in (list, tuple):
        return value
    return value.ravel() if kind is np.ndarray and value.dtype.hasobject else None
