"""What others read has nothing that nobody sees, and nothing that turns the writing."""

import protovalidate
import pytest
from f2h.auth.v1 import key_pb2
from f2h.security.v1 import spam_block_pb2
from f2h.server_ops.v1 import template_pb2, webhook_pb2
from google.protobuf.message import Message

GOOD = [
    "",
    "CI, monitoring",
    "Überwachung – 監視 – мониторинг",
    "ניטור",  # written from right to left, without being told to
    "می\u200cخواهم",  # Persian, whose words have the non-joiner
    "क्\u200dष",  # Hindi, whose letters have the joiner
    "👩\u200d🚀 ❤\ufe0f 🇩🇪",
    "<b>&amp;</b> \\u202e %00",
]
SEEN_BY_NOBODY = [
    *map(chr, range(0x20)),
    *(
        "\x7f",
        "\x85",
        "\u00ad",
        "\u034f",
        "\u115f",
        "\u1160",
        "\u17b4",
        "\u180e",
        "\u200b",
        "\u3164",
    ),
    *("\u2028", "\u2029", "\u2060", "\u2064", "\u2800", "\ufeff", "\uffa0", "\ufff9", "\ufffb"),
    *("\U0001bca0", "\U0001d173", "\U000e0001", "\U000e0041", "\U000e007f", "\U000e0100"),
]
TURNING = [*map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))]


def broken(message: Message) -> dict[str, str]:
    """The rules that a message breaks, and at which field."""
    proto = [violation.proto for violation in protovalidate.collect_violations(message)]
    return {
        each.rule_id: each.field.elements[-1].field_name for each in proto if each.field is not None
    }


def refused(text: str) -> set[str]:
    """The messages that do not take it."""
    layout = template_pb2.Template.Layout(name="raid1", description=text)
    messages: list[tuple[Message, str]] = [
        (key_pb2.CreateKeyRequest(capabilities=["a"], label=text), "label"),
        (key_pb2.UpdateKeyRequest(id="0" * 16, label=text), "label"),
        (webhook_pb2.CreateWebhookRequest(label=text), "label"),
        (webhook_pb2.UpdateWebhookRequest(label=text), "label"),
        (spam_block_pb2.PutSpamBlockRequest(reason=text), "reason"),
        (template_pb2.PutTemplateRequest(os=text), "os"),
        (template_pb2.PutTemplateRequest(version=text), "version"),
        (template_pb2.PutTemplateRequest(layouts=[layout]), "description"),
    ]
    return {
        f"{message.DESCRIPTOR.name}.{field}"
        for message, field in messages
        if field in {at for rule, at in broken(message).items() if rule.startswith("string.shown")}
    }


@pytest.mark.parametrize("text", GOOD)
def test_what_is_seen_is_taken(text: str) -> None:
    assert refused(text) == set()


@pytest.mark.parametrize("character", [*SEEN_BY_NOBODY, *TURNING], ids=ascii)
def test_what_deceives_is_refused_wherever_others_read(character: str) -> None:
    assert len(refused(f"backup{character}old")) == 8


def test_the_refusal_says_what_is_wrong() -> None:
    for character, named in (("\u202e", "turn the direction of writing"), ("\U000e0041", "tags")):
        message = key_pb2.UpdateKeyRequest(id="0" * 16, label=character)
        [violation] = protovalidate.collect_violations(message)
        assert named in violation.proto.message
