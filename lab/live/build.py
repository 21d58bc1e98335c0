"""Builds the lab's systems: `python -m lab.live.build FOLDER`.

FOLDER/kernel and FOLDER/initrd are the live system: rescue and installer. FOLDER/disk.raw.gz is a
disk with a tiny installed system. The kernel is Debian's for clouds, the tools are those of this
machine, with the libraries that they need: busybox, dropbear, jq and sfdisk.
"""

import gzip
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent

KERNEL = "linux-image-cloud-amd64"
"""Depends on the newest kernel of that kind."""

MODULES = (
    *("virtio_pci", "virtio_net", "virtio_blk", "virtio_rng"),  # what a machine of lab.node has
    *("loop", "vfat", "nls_ascii", "nls_cp437"),  # for the seed of an installed system
)
"""What they need comes with them."""

PROGRAMS = ("dropbear", "dropbearkey", "jq", "sfdisk")

SYSLINUX = """\
SERIAL 0 115200
DEFAULT installed
LABEL installed
  KERNEL kernel
  INITRD initrd
  APPEND rdinit=/installed console=ttyS0
"""

PLAIN_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": "/bin/sh\n",
    "etc/nsswitch.conf": "passwd: files\nshadow: files\n",
}


class BuildError(Exception):
    """A part is missing; the text says which, and where it would come from."""


def build(target: Path) -> None:
    """Writes the three files into `target`. Raises BuildError."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        package, root = Path(work, "package"), Path(work, "root")
        version = _unpack_kernel(package)
        _fill(root)
        _copy_modules(package, root, version)
        shutil.copyfile(package / "boot" / f"vmlinuz-{version}", target / "kernel")
        archive = _run(
            ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "--reproducible"],
            cwd=root,
            give="\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*"))),
        )
        (target / "initrd").write_bytes(gzip.compress(archive, mtime=0))
        disk = Path(work, "disk.raw")
        _write_disk(disk, target / "kernel", target / "initrd")
        (target / "disk.raw.gz").write_bytes(gzip.compress(disk.read_bytes(), 1, mtime=0))


def _unpack_kernel(package: Path) -> str:
    """Unpacks Debian's newest kernel, and answers its version."""
    depends = _run(["apt-cache", "depends", "--important", KERNEL]).decode()
    found = re.search(r"Depends: (linux-image-(\S+))", depends)
    if found is None:
        raise BuildError(f"apt knows no {KERNEL}: run apt-get update")
    package.mkdir()
    _run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", found[1]], cwd=package)
    [file] = package.glob("*.deb")
    _run(["dpkg-deb", "-x", str(file), str(package)])
    return found[2]


def _fill(root: Path) -> None:
    (root / "bin").mkdir(parents=True)
    busybox = Path("/bin/busybox")
    if b"ELF" not in busybox.read_bytes()[:4] or _libraries(busybox):
        raise BuildError("/bin/busybox is not busybox-static's")
    shutil.copy2(busybox, root / "bin" / "busybox")
    (root / "bin" / "sh").symlink_to("busybox")
    for name in PROGRAMS:
        found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if found is None:
            raise BuildError(f"{name} is missing: see the packages in the Makefile")
        shutil.copy2(found, root / "bin" / name)
        for library in _libraries(Path(found)):
            place = root / str(library).lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, place)
    for path, content in PLAIN_FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    for path in ("init", "installed", "etc/start", "etc/install", "etc/udhcpc"):
        shutil.copyfile(HERE / Path(path).name, root / path)
        (root / path).chmod(0o755)


def _libraries(program: Path) -> Iterable[Path]:
    """The shared libraries that a program needs, and its loader."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", done.stdout)]


def _copy_modules(package: Path, root: Path, version: str) -> None:
    _run(["depmod", "-b", str(package), version])
    shown = _run(
        ["modprobe", "-d", str(package), "-S", version, "--show-depends", "-a", *MODULES]
    ).decode()
    for module in {Path(found) for found in re.findall(r"^insmod (\S+)", shown, re.MULTILINE)}:
        place = root / module.relative_to(package)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module, place)
    _run(["depmod", "-b", str(root), version])


def _write_disk(disk: Path, kernel: Path, initrd: Path) -> None:
    """A disk that boots by syslinux from its one partition."""
    content = kernel.stat().st_size + initrd.stat().st_size
    mebibytes = content // 2**20 + 4
    with disk.open("wb") as empty:
        empty.truncate(mebibytes * 2**20)
    _run(["sfdisk", "-q", str(disk)], give="label: dos\nstart=2048, type=c, bootable\n")
    first = ["-i", f"{disk}@@1M"]
    sectors = mebibytes * 2048 - 2048
    _run(["mformat", *first, "-T", str(sectors), "-h", "255", "-s", "63", "-H", "2048", "::"])
    config = disk.with_name("syslinux.cfg")
    config.write_text(SYSLINUX)
    for file, name in ((kernel, "kernel"), (initrd, "initrd"), (config, "syslinux.cfg")):
        _run(["mcopy", *first, str(file), f"::{name}"])
    _run(["syslinux", "--install", "--offset", str(2**20), str(disk)])
    boot_code = Path("/usr/lib/syslinux/mbr/mbr.bin").read_bytes()
    with disk.open("r+b") as written:
        written.write(boot_code)


def _run(command: list[str], *, cwd: Path | None = None, give: str = "") -> bytes:
    # apt and depmod are where only root's PATH leads.
    path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=path, input=give.encode(), capture_output=True, check=False
        )
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is missing: see the packages in the Makefile") from None
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except BuildError as error:
        sys.exit(str(error))
