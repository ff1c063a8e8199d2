"""Install real mail servers for `make real`, each into its own overlay of this machine's files, so that all fit.

Needs root and Debian's apt-get. It changes nothing outside `.real/mta`: the packages read this machine's files
and write into their overlay only.
"""

import os
import subprocess
import sys
from pathlib import Path

BOXES = Path(__file__).parents[1] / ".real" / "mta"
PACKAGES = {
    "postfix": ["postfix", "sasl2-bin", "libsasl2-modules"],
    "exim": ["exim4-daemon-light"],
    "opensmtpd": ["opensmtpd"],
    "dovecot": ["dovecot-submissiond"],
    "sendmail": ["sendmail-bin", "sasl2-bin", "libsasl2-modules"],
}
INSTALL = """
mount --make-rprivate /
mount -t overlay overlay -o lowerdir=/,upperdir=$1/upper,workdir=$1/work $1/root
mount -t proc proc $1/root/proc
mount --rbind /dev $1/root/dev
mount -t tmpfs tmpfs $1/root/run
printf '#!/bin/sh\\nexit 101\\n' > $1/root/usr/sbin/policy-rc.d
chmod +x $1/root/usr/sbin/policy-rc.d
box=$1
shift
DEBIAN_FRONTEND=noninteractive chroot $box/root apt-get --yes --quiet=2 --no-install-recommends install "$@"
"""


def main(*wanted: str) -> None:
    """Install each of *wanted*, or all; installed servers stay."""
    if os.geteuid() != 0:
        sys.exit("Mail servers are installed by root: sudo make mta")
    subprocess.run(["apt-get", "--quiet=2", "update"], check=True)
    for name in wanted or PACKAGES:
        _install(name)


def _install(name: str) -> None:
    box = BOXES / name
    done = BOXES.parent / f"{name}.installed"
    if done.exists():
        return
    print(f"installing {name} …", flush=True)
    for part in ("upper", "work", "root"):
        (box / part).mkdir(parents=True, exist_ok=True)
    command = ["unshare", "--mount", "bash", "-ec", INSTALL, "install", str(box), *PACKAGES[name]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    done.touch()


if __name__ == "__main__":
    main(*sys.argv[1:])
