"""What a container finds around its command: its ``/opt/ml``, its host name and peers, its limits.

The scripts that prepare it, for ``containers`` to run. What the files below ``/opt/ml`` say is the jobs' business.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

KIBIBYTE = 1 << 10
# What ``ulimit -f`` counts in, by POSIX.
BLOCK = 512

# Limits that the machine does not know, or that are above its own, are left out: better a job than none.
LIMIT = """
[ -z "$memory" ] || ulimit -d "$memory" 2> /dev/null || true
[ -z "$file" ] || ulimit -f "$file" 2> /dev/null || true
"""

LIMIT_ONLY = f"""
memory=$1; file=$2; shift 2
{LIMIT}
exec "$@"
"""

# Runs as root of a new user, mount and process namespace. $1: base directory, $2: host name, $3: lines for
# /etc/hosts, $4: folders below /opt/ml to protect, one a line, $5: command that brings loopback up, $6: memory in KiB,
# $7: largest file in blocks; the rest: the command.
# A machine without /opt/ml, whose /opt we may not write, gets an empty /opt with its old entries bound back.
ENTER = f"""
set -e
base=$1; name=$2; hosts=$3; protected=$4; python=$5; memory=$6; file=$7; shift 7
if [ ! -d /opt/ml ]; then
  mkdir -p "$base/opt"
  mount --rbind /opt "$base/opt"
  mount -t tmpfs -o mode=755 tmpfs /opt
  for entry in "$base"/opt/*; do
    target=/opt/${{entry##*/}}
    if [ -L "$entry" ]; then cp -P "$entry" "$target"
    elif [ -d "$entry" ]; then mkdir "$target"; mount --rbind "$entry" "$target"
    elif [ -e "$entry" ]; then : > "$target"; mount --bind "$entry" "$target"
    fi
  done
  mkdir /opt/ml
fi
mount --bind "$base/ml" /opt/ml
printf '%s' "$protected" | while read -r folder; do
  mount --bind "/opt/ml/$folder" "/opt/ml/$folder"
  mount -o remount,bind,ro "/opt/ml/$folder"
done
if [ -n "$name" ]; then
  hostname "$name" 2> /dev/null || true  # not installed everywhere; the name resolves all the same
  {{ cat /etc/hosts; printf '%s\\n' "$hosts"; }} > "$base/hosts"
  mount --bind "$base/hosts" /etc/hosts
fi
if [ -n "$python" ]; then "$python" -I -S -c "$LOOPBACK_UP"; unset LOOPBACK_UP; fi
cd /
{LIMIT}
exec "$@"
"""
# SIOCSIFFLAGS with IFF_UP | IFF_RUNNING on `lo`: `ip` is not installed everywhere, this interpreter is.
LOOPBACK_UP = (
    "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14s', b'lo', 0x41, bytes(14)))"
)


@dataclass(frozen=True)
class Host:
    """An instance as its job's containers know it. ``address`` is on loopback, one for each instance."""

    name: str
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Limits:
    """What one process of a container may use at most; None: as much as the machine has."""

    memory_bytes: int | None = None
    file_bytes: int | None = None

    def as_arguments(self) -> list[str]:
        """Return what ``LIMIT`` reads: memory in KiB, file size in blocks."""
        memory = "" if self.memory_bytes is None else str(self.memory_bytes // KIBIBYTE)
        return [memory, "" if self.file_bytes is None else str(self.file_bytes // BLOCK)]


@dataclass(frozen=True)
class Setup:
    """How one container differs from the usual.

    Attributes:
        host: Its own name; None: the runner's usual one.
        peers: All instances of its job, itself among them.
        protected: Folders below ``/opt/ml`` that it can only read.
        limits: What it may use.
        isolate_network: Whether it reaches nothing but its own loopback.
    """

    host: Host | None = None
    peers: Sequence[Host] = ()
    protected: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    isolate_network: bool = False

    def enter_arguments(self, base: str, usual_host: str) -> list[str]:
        """Return the first seven arguments of ``ENTER``."""
        host = self.host or Host(usual_host)
        lines = [f"{peer.address} {peer.name}" for peer in self.peers or (host,)]
        protected = "".join(f"{folder}\n" for folder in self.protected)
        python = sys.executable if self.isolate_network else ""
        return [base, host.name, "\n".join(lines), protected, python, *self.limits.as_arguments()]
