"""Makes the lab's systems known to a running stack: the images and the template that boot them."""

import hashlib
import shutil
from pathlib import Path

from lab.stack import Stack, StackError

CONSOLE = "console=ttyS0"

TEMPLATE = "tiny"

# JSON is YAML too: what cloud-init reads, the lab's installed system reads without it.
_USER_DATA = """\
#cloud-config
{"hostname": {{ hostname | tojson }},
 "ssh_authorized_keys": {{ ssh_keys | tojson }},
 "phone_home": {"url": {{ first_boot_url | tojson }}, "post": ["hostname"]}}
"""

_META_DATA = "instance-id: {{ report_token[:16] }}\nlocal-hostname: {{ hostname | tojson }}\n"


def register(stack: Stack, built: Path) -> None:
    """The images "rescue" and "installer", and the template "tiny", from what lab.live.build wrote.

    Raises StackError.
    """
    kernel, initrd = ((built / role).read_bytes() for role in ("kernel", "initrd"))
    stack.image("rescue", "IMAGE_KIND_RESCUE", kernel, initrd, CONSOLE)
    stack.image("installer", "IMAGE_KIND_INSTALLER", kernel, initrd, CONSOLE)
    disk = stack.images / TEMPLATE / "disk.raw.gz"
    disk.parent.mkdir(exist_ok=True)
    shutil.copyfile(built / disk.name, disk)
    with disk.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    template = {
        "os": "Lab",
        "version": "1",
        "image": "installer",
        "disk_image": {"path": f"{TEMPLATE}/{disk.name}", "sha256": digest},
        "documents": [
            {"name": "user-data", "content": _USER_DATA},
            {"name": "meta-data", "content": _META_DATA},
        ],
    }
    answer = stack.noc("PUT", f"/api/noc/templates/{TEMPLATE}", json=template)
    if not answer.is_success:
        raise StackError(f"no template could be made known: {answer.text}")
