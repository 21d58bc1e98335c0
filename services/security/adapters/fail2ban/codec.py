"""fail2ban's messages: pickles, END behind each (its client/csocket.py and server/asyncserver.py).

Python's own unpickler is not used, not even one that finds no class. A pickle is a program: nine
bytes of it make a memo of gigabytes (LONG_BINPUT), and a few more a value that takes for ever to
look at. No subclass can bound that. What fail2ban answers needs a few opcodes, and those are read
here: those that Python 3 writes for None, numbers, text, lists, tuples and dicts. The exception in
an answer that tells of an error becomes a RemoteError; nothing is ever imported or called.

What is read is a tree of at most MOST_DEEP levels, so that it is safe to compare and to print. An
answer of N bytes takes less than 24 N bytes of memory beside some fixed 2 MB, and at most
MOST_OPCODES steps.
"""

import builtins
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

END = b"<F2B_END_COMMAND>"

MOST_OPCODES = 2_000_000
"""A ban takes two of them at most."""

MOST_CONTAINERS = 10_000
"""How many lists, tuples, dicts and marks there may be: they are larger than what makes them.
A thousand bans take a mark.
"""

MOST_DEEP = 100
"""How deep these may be nested."""

LONGEST_NAME = 128
"""Of a module or a class, in bytes."""

_SHORT_BINUNICODE = 0x8C
_MEMOIZE = 0x94
_STOP = ord(".")

_EXCEPTIONS = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
_OF_PYTHON = ("builtins", "exceptions")
"""The module of Python's exceptions; the second is what protocol 2 calls it."""
_OF_FAIL2BAN = "fail2ban.exceptions"
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


class Malformed(Exception):  # noqa: N818 - it says what it is
    """No answer of fail2ban's, or more than is read."""


@dataclass(frozen=True, slots=True)
class RemoteError:
    """An exception that fail2ban tells of. It was not made one here."""

    name: str
    """Its module and class, for instance "fail2ban.exceptions.UnknownJailException"."""
    args: tuple[object, ...]


def encode(command: Sequence[str]) -> bytes:
    """A command, as it is sent: a list of text in protocol 2, which every fail2ban reads.

    Raises ValueError: the end of a message is in it.
    """
    # PROTO 2, EMPTY_LIST, MARK, a BINUNICODE each, APPENDS, STOP
    texts = [word.encode() for word in command]
    words = b"".join(b"X" + struct.pack("<I", len(text)) + text for text in texts)
    if END in words:
        raise ValueError("The end of a message is in a command.")
    return b"\x80\x02](" + words + b"e." + END


def decode(answer: bytes) -> object:
    """What an answer says, of None, bool, int, float, str, list, tuple, dict and RemoteError.

    `answer` is without END. Raises Malformed.
    """
    try:
        return _Reader(answer).read()
    except (IndexError, ValueError, struct.error):
        raise Malformed from None


@dataclass(frozen=True, slots=True)
class _Class:
    """An exception's class, by name."""

    name: str


class _Reader:
    """Runs a pickle. Its methods raise Malformed, IndexError, ValueError and struct.error."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._containers = 0
        self._memo: list[object] = []
        self._stack: list[object] = []
        self._outer: list[list[object]] = []
        """The stacks below the marks. So no opcode takes from below one."""

    def read(self) -> object:
        data, stack, memo = self._data, self._stack, self._memo
        at = 0
        for _ in range(MOST_OPCODES):
            opcode = data[at]
            # A list of bans is text and MEMOIZE over and over: these are read without a call.
            if opcode == _SHORT_BINUNICODE:
                start = at + 2
                at = start + data[at + 1]
                # One that is cut off is no danger: there is no next opcode.
                text = data[start:at].decode("utf-8", "surrogatepass")
                stack.append(text)
                if data[at] == _MEMOIZE:
                    memo.append(text)
                    at += 1
            elif opcode == _STOP:
                return self.result(at)
            else:
                run = _OPCODES.get(opcode)
                if run is None:
                    raise Malformed
                self._at = at + 1
                run(self)
                at, stack = self._at, self._stack
        raise Malformed

    def result(self, at: int) -> object:
        """The value that is left at STOP. It is a tree: see `get`."""
        if len(self._stack) != 1 or self._outer or at + 1 != len(self._data):
            raise Malformed
        level = self._stack
        for _ in range(MOST_DEEP):
            below: list[object] = []
            for each in level:
                if type(each) is str:  # most of them, so first
                    continue
                if isinstance(each, list | tuple):
                    below.extend(each)
                elif isinstance(each, dict):
                    below.extend(each.values())
                elif isinstance(each, RemoteError):
                    below.extend(each.args)
                elif isinstance(each, _Class):
                    raise Malformed
            if not below:
                return self._stack[0]
            level = below
        raise Malformed

    # What is in the bytes

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise Malformed
        self._at += count
        return taken

    def number(self, form: str) -> int:
        number: int = struct.unpack_from(form, self._data, self._at)[0]
        self._at += struct.calcsize(form)
        return number

    def line(self) -> str:
        end = self._data.index(b"\n", self._at, self._at + LONGEST_NAME)
        line = self._data[self._at : end]
        self._at = end + 1
        return line.decode("ascii")

    # Opcodes, under the names that pickle.py has for them

    def proto(self) -> None:
        if self.number("<B") not in range(2, 6):
            raise Malformed

    def frame(self) -> None:
        self.take(8)  # how long it is helps only those who read from a file

    def push(self, value: object) -> None:
        self._stack.append(value)

    def text(self, form: str) -> None:
        self.push(self.take(self.number(form)).decode("utf-8", "surrogatepass"))

    def long1(self) -> None:
        self.push(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def binfloat(self) -> None:
        self.push(struct.unpack(">d", self.take(8))[0])

    def memoize(self) -> None:
        self._memo.append(self._stack[-1])

    def put(self, form: str) -> None:
        # Python counts them.
        if self.number(form) != len(self._memo):
            raise Malformed
        self.memoize()

    def get(self, form: str) -> None:
        """Text alone comes from the memo. A list that stood in two places, or in itself, would be
        larger for who looks at it than what made it; fail2ban answers with none.
        """
        value = self._memo[self.number(form)]
        if type(value) is not str:
            raise Malformed
        self.push(value)

    def container(self) -> None:
        """Call it before one is made."""
        self._containers += 1
        if self._containers > MOST_CONTAINERS:
            raise Malformed

    def mark(self) -> None:
        self.container()
        self._outer.append(self._stack)
        self._stack = []

    def marked(self) -> list[object]:
        """What was pushed since the last mark."""
        marked, self._stack = self._stack, self._outer.pop()
        return marked

    def empty_list(self) -> None:
        self.container()
        self.push([])

    def empty_dict(self) -> None:
        self.container()
        self.push({})

    def append(self, values: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise Malformed
        target.extend(values)

    def setitems(self, values: list[object]) -> None:
        target = self._stack[-1]
        keys = values[::2]
        # Numbers can be chosen so that a dict is slow with them, text cannot.
        if not isinstance(target, dict) or len(values) % 2 or {*map(type, keys)} - {str}:
            raise Malformed
        target.update(zip(keys, values[1::2], strict=True))

    def make_tuple(self, values: list[object]) -> None:
        self.container()
        self.push(tuple(values))

    def last(self, count: int) -> list[object]:
        """The last so many of the stack, which are taken from it."""
        return [self._stack.pop() for _ in range(count)][::-1]

    def exception(self, module: object, name: object) -> None:
        """One that may be told of, and no other."""
        self.container()
        if not isinstance(module, str) or not isinstance(name, str):
            raise Malformed
        if module in _OF_PYTHON and name in _EXCEPTIONS:
            self.push(_Class(f"builtins.{name}"))
        elif module == _OF_FAIL2BAN and _CLASS.fullmatch(name):
            self.push(_Class(f"{module}.{name}"))
        else:
            raise Malformed

    def reduce(self) -> None:
        self.container()
        kind, args = self.last(2)
        if not isinstance(kind, _Class) or not isinstance(args, tuple):
            raise Malformed
        self.push(RemoteError(kind.name, args))

    def build(self) -> None:
        """Attributes of an exception. Nobody here wants to know them."""
        state = self._stack.pop()
        if not isinstance(state, dict) or not isinstance(self._stack[-1], RemoteError):
            raise Malformed


_OPCODES: dict[int, Callable[[_Reader], None]] = {
    0x80: _Reader.proto,
    0x95: _Reader.frame,
    ord("N"): lambda reader: reader.push(None),
    0x88: lambda reader: reader.push(True),
    0x89: lambda reader: reader.push(False),
    ord("J"): lambda reader: reader.push(reader.number("<i")),  # BININT
    ord("K"): lambda reader: reader.push(reader.number("<B")),  # BININT1
    ord("M"): lambda reader: reader.push(reader.number("<H")),  # BININT2
    0x8A: _Reader.long1,
    ord("G"): _Reader.binfloat,
    ord("X"): lambda reader: reader.text("<I"),  # BINUNICODE
    0x8D: lambda reader: reader.text("<Q"),  # BINUNICODE8
    _MEMOIZE: _Reader.memoize,
    ord("q"): lambda reader: reader.put("<B"),  # BINPUT
    ord("r"): lambda reader: reader.put("<I"),  # LONG_BINPUT
    ord("h"): lambda reader: reader.get("<B"),  # BINGET
    ord("j"): lambda reader: reader.get("<I"),  # LONG_BINGET
    ord("("): _Reader.mark,
    ord("]"): _Reader.empty_list,
    ord("a"): lambda reader: reader.append(reader.last(1)),
    ord("e"): lambda reader: reader.append(reader.marked()),  # APPENDS
    ord("}"): _Reader.empty_dict,
    ord("s"): lambda reader: reader.setitems(reader.last(2)),  # SETITEM
    ord("u"): lambda reader: reader.setitems(reader.marked()),
    ord(")"): lambda reader: reader.make_tuple([]),
    0x85: lambda reader: reader.make_tuple(reader.last(1)),
    0x86: lambda reader: reader.make_tuple(reader.last(2)),
    0x87: lambda reader: reader.make_tuple(reader.last(3)),
    ord("t"): lambda reader: reader.make_tuple(reader.marked()),
    ord("c"): lambda reader: reader.exception(reader.line(), reader.line()),  # GLOBAL
    0x93: lambda reader: reader.exception(*reader.last(2)),  # STACK_GLOBAL
    ord("R"): _Reader.reduce,
    ord("b"): _Reader.build,
}
