"""Check the file system of the database: SQLite needs a disk of this computer."""

from __future__ import annotations

import re
from pathlib import Path

from ....core.findings import Verdict, fault, ok, warning

_MOUNTS = Path("/proc/self/mounts")

#: File systems over which SQLite's locks or its shared memory do not work.
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|ceph|glusterfs|lustre|9p|ncpfs|davfs2?|coda"
    r"|gpfs|beegfs|gfs2|ocfs2|pvfs2|orangefs"
    # Shared with the host of a virtual machine or a container.
    r"|virtiofs|vboxsf|vmhgfs|prl_fs|fakeowner|osxfs|grpcfuse|drvfs|fuse(\..*)?"
)

#: File systems on a disk, or in the memory, of this computer.
_LOCAL = re.compile(
    r"ext\d|xfs|btrfs|zfs|bcachefs|f2fs|jfs|reiserfs|reiser4|nilfs2|ufs|minix"
    r"|tmpfs|ramfs|rootfs|devtmpfs|overlay(fs)?|aufs|ecryptfs|shiftfs|ubifs|jffs2"
    r"|v?fat|msdos|exfat|ntfs3?|fuseblk|hfs(plus)?|apfs|squashfs|erofs|iso9660|udf"
)

_MOVE = "Move the database to a disk of this computer (ext4, xfs, btrfs…)."


def file_system(path: Path) -> Verdict:
    """Judge the file system that *path* is on."""
    if not _MOUNTS.exists():
        return ok("not known on this system")
    return network(path, _MOUNTS.read_text("utf-8", "replace"))


def network(path: Path, mounts: str) -> Verdict:
    """Judge the file system of *path* by *mounts*, the text of /proc/mounts."""
    kind = "unknown"
    longest = -1
    for line in mounts.splitlines():
        where, what = map(_unescaped, line.split(" ")[1:3])
        # The last mount on a folder hides those before.
        if path.is_relative_to(where) and len(where) >= longest:
            kind, longest = what, len(where)
    if _NETWORK.fullmatch(kind):
        return fault(
            f"{kind}: locks and the WAL do not work over a network or a shared folder",
            _MOVE,
        )
    if not _LOCAL.fullmatch(kind):
        return warning(f"{kind}: not known to be a disk of this computer", _MOVE)
    return ok(kind)


def _unescaped(text: str) -> str:
    # A blank in a name is written \040 there.
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
