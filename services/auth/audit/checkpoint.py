"""Checkpoints of the audit trail as a line of text, to be kept elsewhere."""

import re

from f2h.auth.v1.audit_pb2 import AuditCheckpoint
from google.protobuf import json_format

_HASH = re.compile("[0-9a-f]{64}")


def checkpoint_line(checkpoint: AuditCheckpoint) -> str:
    """A checkpoint as one line of JSON, the same that GET /api/noc/audit/checkpoint answers."""
    return json_format.MessageToJson(
        checkpoint, indent=None, always_print_fields_with_no_presence=True
    )


def parse_checkpoint(text: str) -> AuditCheckpoint:
    """The checkpoint that a text holds. Raises ValueError, which says that it holds none."""
    try:
        checkpoint = json_format.Parse(text, AuditCheckpoint())
    except json_format.ParseError:
        checkpoint = None
    if checkpoint is None or checkpoint.sequence < 0 or not _HASH.fullmatch(checkpoint.hash):
        raise ValueError("not a checkpoint: it must be a line that audit-checkpoint printed")
    return checkpoint
