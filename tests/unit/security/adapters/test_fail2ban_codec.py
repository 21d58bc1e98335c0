"""Pickles that a gateway might send, read without an unpickler."""

import os
import pickle
import pickletools
import struct
import sys
import time
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.security.adapters.fail2ban.codec import (
    END,
    MOST_CONTAINERS,
    MOST_DEEP,
    MOST_OPCODES,
    Malformed,
    RemoteError,
    decode,
    encode,
)

patient = settings(deadline=None)
"""A busy machine is no failure."""

PROTOCOLS = st.integers(2, 5)

TEXTS = st.text(max_size=300) | st.text(st.characters(codec=None), max_size=20)
"""Some with lone surrogates, which Python pickles too."""

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**2000), 2**2000)
    | st.floats(allow_nan=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(TEXTS, inner)
        | st.tuples(inner, inner)
    ),
    max_leaves=30,
)

LINES = [
    f"10.{n >> 16}.{n >> 8 & 255}.{n & 255} \t2026-01-02 03:04:05 + 600 = 2026-01-02 03:14:05"
    for n in range(50_000)
]


@patient
@given(VALUES, PROTOCOLS)
def test_what_python_pickles_is_read(value: object, protocol: int) -> None:
    assert decode(pickle.dumps(value, protocol)) == value


@patient
@given(st.lists(st.text()))
def test_a_command_is_what_fail2ban_unpickles(command: list[str]) -> None:
    sent = encode(command)
    assert sent.endswith(END)
    assert pickle.loads(sent.removesuffix(END)) == command


def test_a_command_does_not_hold_its_own_end() -> None:
    with pytest.raises(ValueError, match="end of a message"):
        encode(["status", END.decode()])


@patient
@given(st.binary())
def test_any_bytes_are_read_or_malformed(content: bytes) -> None:
    decoded_or_malformed(content)


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@patient
@given(st.lists(st.sampled_from(OPCODES) | st.binary(max_size=9)).map(b"".join))
def test_any_opcodes_are_read_or_malformed(content: bytes) -> None:
    decoded_or_malformed(b"\x80\x05" + content + b".")


@settings(max_examples=500, deadline=None)
@given(VALUES, PROTOCOLS, st.data())
def test_a_pickle_that_was_tampered_with_is_read_or_malformed(
    value: object, protocol: int, data: st.DataObject
) -> None:
    content = bytearray(pickle.dumps((0, [value, ValueError("x", value)]), protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from("rid")):
            case "r":
                content[place] = data.draw(st.integers(0, 255))
            case "i":
                content[place:place] = data.draw(st.sampled_from(OPCODES))
            case _ if len(content) > 1:
                del content[place]
    decoded_or_malformed(bytes(content))


@patient
@given(VALUES, PROTOCOLS, st.data())
def test_a_pickle_that_is_cut_off_is_malformed(
    value: object, protocol: int, data: st.DataObject
) -> None:
    content = pickle.dumps(value, protocol)
    with pytest.raises(Malformed):
        decode(content[: data.draw(st.integers(0, len(content) - 1))])


def test_what_follows_a_pickle_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode(pickle.dumps(1) + b"N.")


def decoded_or_malformed(content: bytes) -> None:
    try:
        value = decode(content)
    except Malformed:
        return
    assert plain(value)
    # It can be looked at, and is not much longer than what made it.
    assert len(repr(value)) <= 100 * len(content)


def plain(value: Any) -> bool:
    match value:
        case list() | tuple():
            return all(map(plain, value))
        case dict():
            return all(type(key) is str and plain(value[key]) for key in value)
        case RemoteError(name=name, args=args):
            return type(name) is str and plain(args)
    return type(value) in {type(None), bool, int, float, str}


class Exploit:
    def __init__(self, function: Any, *args: object) -> None:
        self._made = function, args

    def __reduce__(self) -> Any:
        return self._made


class Plain:
    pass


@pytest.mark.parametrize("protocol", range(2, 6))
def test_nothing_is_executed(protocol: int, tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    for exploit in (
        Exploit(os.system, f"touch {proof}"),
        Exploit(eval, f"open({str(proof)!r}, 'w')"),
        Exploit(getattr, "", "join"),
        Exploit(__import__, "os"),
        Exploit(str, "a"),
        Exploit(bytearray, 1 << 40),
        Plain(),
        Plain,
        ValueError,  # a class, and no exception
        {1, 2},
        b"bytes",
        1j,
        range(3),
    ):
        with pytest.raises(Malformed):
            decode(pickle.dumps((0, [exploit]), protocol))
    assert not proof.exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_exceptions_become_what_they_are_called(
    protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = KeyError("sshd")
    noted.add_note("with attributes")
    for error in (Exception("Invalid command"), ValueError(1, ("a",)), noted):
        expected = RemoteError(f"builtins.{type(error).__name__}", error.args)
        assert decode(pickle.dumps((1, error), protocol)) == (1, expected)

    class UnknownJailException(KeyError):  # noqa: N818 - as fail2ban calls it
        __module__ = "fail2ban.exceptions"
        __qualname__ = "UnknownJailException"

    module = ModuleType("fail2ban.exceptions")
    monkeypatch.setattr(module, "UnknownJailException", UnknownJailException, raising=False)
    monkeypatch.setitem(sys.modules, "fail2ban", ModuleType("fail2ban"))
    monkeypatch.setitem(sys.modules, "fail2ban.exceptions", module)
    content = pickle.dumps((1, UnknownJailException("nope")), protocol)
    monkeypatch.undo()
    expected = RemoteError("fail2ban.exceptions.UnknownJailException", ("nope",))
    assert decode(content) == (1, expected)
    assert "fail2ban.exceptions" not in sys.modules


def text(content: str) -> bytes:
    return b"\x8c" + bytes([len(content)]) + content.encode()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "ValueError.__init__"),
        ("builtins", "__import__"),
        ("exceptions", "eval"),
        ("os", "system"),
        ("fail2ban.exceptions.os", "Exception"),
        ("fail2ban.exceptions", "os.system"),
        ("fail2ban.exceptions", ""),
        ("fail2ban.exceptions", "a\n"),
        ("fail2ban.exceptions", "Fehlér"),
        ("fail2ban.server.utils", "Utils"),
        ("sqlite3", "OperationalError"),
    ],
)
def test_no_other_class_is_told_of(module: str, name: str) -> None:
    for found in (f"c{module}\n{name}\n".encode(), text(module) + text(name) + b"\x93"):
        with pytest.raises(Malformed):
            decode(b"\x80\x04" + found + b")R.")


HUGE = [
    b"Nr\xff\xff\xff\xff.",  # LONG_BINPUT
    b"Nr\x00\x00\x00\x10.",
    b"Nq\x01.",  # BINPUT
    b"j\xff\xff\xff\xff.",  # LONG_BINGET
    b"h\x00.",  # BINGET of what was not put
    b"\x8b\xff\xff\xff\x7f.",  # LONG4
    b"\x8b\xff\xff\xff\xff.",  # of a negative length
    b"\x8a\xff\x00.",  # LONG1
    b"\x8d" + b"\xff" * 8 + b"a.",  # BINUNICODE8
    b"\x8d" + struct.pack("<Q", 1 << 40) + b"a.",
    b"X\xff\xff\xff\xffa.",  # BINUNICODE
    b"\x8c\xffa.",  # SHORT_BINUNICODE
    b"\x8c\x01\xff.",  # not UTF-8
    b"\x8e" + struct.pack("<Q", 1 << 40) + b".",  # BINBYTES8
    b"\x96" + struct.pack("<Q", 1 << 40) + b".",  # BYTEARRAY8
    b"\x95" + b"\xff" * 7,  # half a FRAME
    b"I" + b"9" * 10_000 + b"\n.",  # INT: text of a number
    b"L" + b"9" * 10_000 + b"L\n.",
    b"\x82\x01.",  # EXT1
    b"\x83\x01\x00.",
    b"\x84\x01\x00\x00\x00.",
    b"Pid\n.",  # PERSID
    b"NQ.",  # BINPERSID
    b"cbuiltins\nException\n)\x81.",  # NEWOBJ
    b"cbuiltins\nException\n)}\x92.",  # NEWOBJ_EX
    b"(ibuiltins\nException\n.",  # INST
    b"(cbuiltins\nException\no.",  # OBJ
    b"cbuiltins\nException\n]R.",  # args that are no tuple
    b"cbuiltins\nException\n)R]b.",  # BUILD with no dict
    b"cbuiltins\nException\n}b.",  # BUILD of a class
    b"]}b.",  # BUILD of a list
    b"c" + b"a" * 1000 + b"\nb\n.",
    b"cbuiltins\nException",
    b"\x97.",  # NEXT_BUFFER
    b"\x80\x06N.",
    b"\x80\x00N.",
    b"N2.",  # DUP
    b"N0.",  # POP
    b"(N1.",  # POP_MARK
    b"",
    b".",
    b"NN.",
    b"(N.",
    b"a.",
    b"Na.",
    b"](a.",
    b"]e.",
    b"N(e.",
    b"}(Nu.",
    b"}]Ns.",  # a list as a key
    b"}KKNs.",  # a number as a key
    b"(]a.",
    b"N\x86.",
    b"\x94.",
    b"(\x94.",
    b"(q\x00.",
    b"\x93.",
    b"KK\x93.",
    b"R.",
    b"b.",
]


@pytest.mark.parametrize("content", HUGE)
def test_what_fail2ban_never_sends_is_malformed_and_costs_nothing(content: bytes) -> None:
    assert peak_of_malformed(b"\x80\x04" + content) < 100_000
    assert peak_of_malformed(content) < 100_000


def test_a_list_in_itself_is_malformed() -> None:
    value: list[object] = []
    value.append(value)
    for protocol in range(2, 6):
        with pytest.raises(Malformed):
            decode(pickle.dumps(value, protocol))


def test_a_value_that_would_grow_when_it_is_looked_at_is_malformed() -> None:
    laughs: object = ["ha"]
    for _ in range(50):
        laughs = [laughs, laughs]
    for protocol in range(2, 6):
        with pytest.raises(Malformed):
            decode(pickle.dumps(laughs, protocol))


def test_the_same_text_in_several_places_is_read() -> None:
    jail = "sshd"
    for protocol in range(2, 6):
        assert decode(pickle.dumps([jail] * 300, protocol)) == [jail] * 300


@pytest.mark.parametrize(
    "deep",
    [b"]" * 1_000_000, b"(" * 1_000_000, b")" + b"\x85" * 1_000_000, b"}" * 1_000_000],
    ids=["lists", "marks", "tuples", "dicts"],
)
def test_what_is_nested_a_million_times_is_malformed(deep: bytes) -> None:
    assert peak_of_malformed(deep + b".") < 2_000_000
    assert peak_of_malformed(deep + b"a" * 999_999 + b".") < 2_000_000


def test_depth_has_an_end() -> None:
    def nested(levels: int) -> bytes:
        return b")" + b"\x85" * (levels - 1) + b"."

    value = decode(nested(MOST_DEEP))
    for _ in range(MOST_DEEP):
        assert isinstance(value, tuple)
        (value,) = value or (None,)
    with pytest.raises(Malformed):
        decode(nested(MOST_DEEP + 1))


def test_containers_have_an_end() -> None:
    assert len(decode(b"](" + b")" * (MOST_CONTAINERS - 2) + b"e.")) == MOST_CONTAINERS - 2  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        decode(b"](" + b")" * (MOST_CONTAINERS - 1) + b"e.")


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "content",
    [
        b"](" + b"N" * MEGABYTE + b"e.",
        b"](" + b"K\x01" * (MEGABYTE // 2) + b"e.",
        b"](" + b"M\xff\xff" * (MEGABYTE // 3) + b"e.",
        b"](" + b"\x8a\x02\xff\x7f" * (MEGABYTE // 4) + b"e.",
        b"](" + b"\x8c\x02ab" * (MEGABYTE // 4) + b"e.",
        b"](" + b"\x8c\x02ab\x94" * (MEGABYTE // 5) + b"e.",
        b"](" + (b"\x8c\x04" + "\U0001f600".encode()) * (MEGABYTE // 6) + b"e.",
        b"X" + struct.pack("<I", MEGABYTE) + "\U0001f600".encode() + b"a" * (MEGABYTE - 4) + b".",
        b"](\x8c\x02ab\x94" + b"h\x00" * (MEGABYTE // 2) + b"e.",
        b"N" + b"\x94" * MEGABYTE + b".",
        b"}(" + b"".join(text(f"{n:x}") + b"N" for n in range(MEGABYTE // 8)) + b"u.",
    ],
)
def test_memory_is_a_small_multiple_of_the_input(content: bytes) -> None:
    peak, _ = measured(content)
    assert peak < 24 * len(content) + 2_000_000


def test_steps_have_an_end() -> None:
    with pytest.raises(Malformed):
        decode(b"](" + b"N" * MOST_OPCODES + b"e.")


def test_fifty_thousand_bans_are_read_at_once() -> None:
    content = pickle.dumps((0, LINES), pickle.HIGHEST_PROTOCOL)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        assert decode(content) == (0, LINES)
        times.append(time.perf_counter() - begin)
    # A tenth of it on an idle machine.
    assert min(times) < 0.15


def peak_of_malformed(content: bytes) -> int:
    """How much memory it takes to find out that it is malformed."""
    peak, malformed = measured(content)
    assert malformed
    return peak


def measured(content: bytes) -> tuple[int, bool]:
    tracemalloc.start()
    try:
        decode(content)
    except Malformed:
        malformed = True
    else:
        malformed = False
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak, malformed
