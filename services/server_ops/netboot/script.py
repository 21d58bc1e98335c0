"""iPXE scripts. A machine that is told `exit 1` goes on with what its firmware boots next."""

from services.server_ops.netboot.image import Image

HARDDISK = """\
#!ipxe
# A BIOS is told to start the first disk; UEFI goes on with its own order.
iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 ||
exit 1
"""


def boot_script(image: Image, url: str, arguments: str = "") -> str:
    """The script that boots an image.

    `url` is where machines reach the provisioning listener; `arguments` are added to the kernel's
    command line.
    """
    base = f"{url}/images"
    # By its name the kernel finds its RAM disk when UEFI starts it.
    line = " ".join(filter(None, ["initrd=initrd", image.command_line, arguments]))
    return (
        "#!ipxe\n"
        f"kernel --name kernel {base}/{image.kernel.path} {line} || exit 1\n"
        f"initrd --name initrd {base}/{image.initrd.path} || exit 1\n"
        "boot kernel || exit 1\n"
    )
