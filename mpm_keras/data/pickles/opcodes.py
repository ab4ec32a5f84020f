"""The opcodes of pickle protocols 0 to 5, and the loop that follows them."""

import codecs
import pickletools
import struct

from mpm_keras.data.pickles.machine import Machine
from mpm_keras.data.pickles.values import MARK
from mpm_keras.errors import InputError


def loads(data):
    """The value of pickled bytes, `bytes` or `bytearray`; arrays share its memory and are read-only.

    Memory: at most twice the pickle's size and 64 MiB for small objects besides the pickle itself.
    Raises `InputError` for a damaged pickle and for everything that this module does not admit.
    """
    machine = Machine(data)
    try:
        while (code := machine.take(1)[0]) != _STOP:
            if code not in _OPERATIONS:
                name = pickletools.code2op[chr(code)].name if chr(code) in pickletools.code2op else f"{code:#04x}"
                raise InputError(f"pickle opcode {name} is refused, at byte {machine.at - 1}")
            _OPERATIONS[code](machine)
        return machine.result()
    except InputError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError, struct.error) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"a damaged pickle, at byte {machine.at} ({reason})") from None


def _proto(machine):
    if (version := machine.take(1)[0]) > 5:
        raise InputError(f"pickle protocol {version} is unknown; 0 to 5 are read")


def _integer(machine):
    line = machine.line()
    machine.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))


def _quoted(machine):
    line = machine.line().strip()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise InputError(f"a damaged pickle: text without quotes at byte {machine.at}")
    machine.charge(len(line))
    machine.push_text(memoryview(codecs.escape_decode(line[1:-1])[0]), "latin-1")


def _escaped(machine):
    line = machine.line()
    machine.charge(2 * len(line))
    machine.push_text(memoryview(line.decode("raw-unicode-escape").encode("utf-8", "surrogatepass")))


def _signed_length(machine):
    if (count := machine.number("<i")) < 0:
        raise InputError(f"a damaged pickle: negative length at byte {machine.at}")
    return count


def _named_line(machine):
    module, name = machine.line(), machine.line()
    machine.name(module.decode("utf-8"), name.decode("utf-8"))


def _instance(machine):
    _named_line(machine)
    raise InputError(f"an instance of {machine.stack[-1].name} is refused")


def _tuple_of(count):
    return lambda machine: machine.push_tuple(machine.pop(count) if count is not None else machine.pop_mark())


def _make_list(machine):
    items = machine.pop_mark()
    machine.push([], 72)
    machine.extend(items)


def _make_dict(machine):
    items = machine.pop_mark()
    machine.push({}, 72)
    machine.update(items)


def _add_items(machine):
    items = machine.pop_mark()
    machine.top(set).update(machine.members(items))


def _duplicate(machine):
    (item,) = machine.pop(1)
    machine.push(item, 0)
    machine.push(item, 8)


_STOP = 0x2E
_LONG_TEXT = {0x8C: "<B", 0x58: "<I", 0x8D: "<Q"}
_LONG_BYTES = {0x43: "<B", 0x42: "<I", 0x8E: "<Q", 0x96: "<Q"}

# Opcode -> what it does. Persistent ids, extension codes, NEWOBJ and out-of-band buffers are not among them.
_OPERATIONS = {
    0x80: _proto,
    0x95: lambda m: m.number("<Q"),  # FRAME: only a hint
    0x28: lambda m: m.push(MARK, 8),
    0x30: lambda m: m.pop(1),
    0x31: lambda m: m.pop_mark(),
    0x32: _duplicate,
    0x4E: lambda m: m.push(None, 8),
    0x88: lambda m: m.push(True, 8),
    0x89: lambda m: m.push(False, 8),
    0x4A: lambda m: m.push(m.number("<i")),
    0x4B: lambda m: m.push(m.number("<B"), 8),
    0x4D: lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.push_integer(m.number("<B")),
    0x8B: lambda m: m.push_integer(_signed_length(m)),
    0x49: _integer,
    0x4C: lambda m: m.push(int(m.line().rstrip(b"L"))),
    0x46: lambda m: m.push(float(m.line())),
    0x47: lambda m: m.push(m.number(">d")),
    0x53: _quoted,
    0x54: lambda m: m.push_text(m.take(_signed_length(m)), "latin-1"),
    0x55: lambda m: m.push_text(m.take(m.number("<B")), "latin-1"),
    0x56: _escaped,
    **{code: lambda m, form=form: m.push_text(m.take(m.number(form))) for code, form in _LONG_TEXT.items()},
    **{code: lambda m, form=form: m.push_bytes(m.take(m.number(form))) for code, form in _LONG_BYTES.items()},
    0x29: lambda m: m.push_tuple([]),
    0x85: _tuple_of(1),
    0x86: _tuple_of(2),
    0x87: _tuple_of(3),
    0x74: _tuple_of(None),
    0x5D: lambda m: m.push([], 72),
    0x6C: _make_list,
    0x61: lambda m: m.extend(m.pop(1)),
    0x65: lambda m: m.extend(m.pop_mark()),
    0x7D: lambda m: m.push({}, 72),
    0x64: _make_dict,
    0x73: lambda m: m.update(m.pop(2)),
    0x75: lambda m: m.update(m.pop_mark()),
    0x8F: lambda m: m.push(set(), 224),
    0x90: _add_items,
    0x91: lambda m: m.push(frozenset(m.members(m.pop_mark()))),
    0x67: lambda m: m.get(int(m.line())),
    0x68: lambda m: m.get(m.number("<B")),
    0x6A: lambda m: m.get(m.number("<I")),
    0x70: lambda m: m.put(int(m.line())),
    0x71: lambda m: m.put(m.number("<B")),
    0x72: lambda m: m.put(m.number("<I")),
    0x94: lambda m: m.put(len(m.memo)),
    0x63: _named_line,
    0x93: lambda m: m.name(*m.pop(2)),
    0x52: Machine.reduce,
    0x62: Machine.build,
    0x69: _instance,
}
