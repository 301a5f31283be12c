"""Container engines: Docker where there is one, otherwise buildah and podman, with a base image of Debian's own packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import ContainerError
from assets.storage.home import REPOSITORY

STOCK = "python:3.11-slim"
"""The base where images can be pulled."""
OWN = "localhost/loopline-python:3.11"
"""The base where they cannot: made of Debian's packages, once."""
PACKAGES = (
    "base-files", "ca-certificates", "libbz2-1.0", "libexpat1", "libffi8", "libgcc-s1", "liblzma5", "libpython3.11-minimal",
    "libpython3.11-stdlib", "libsqlite3-0", "libssl3", "libstdc++6", "libuuid1", "media-types", "netbase", "python3.11-minimal",
    "zlib1g",
)  # fmt: skip
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
LISTED = (
    'mkdir -p "$1/var/lib/dpkg/status.d"; for deb in "$1"/var/cache/apt/archives/*.deb; do '
    'dpkg-deb --field "$deb" > "$1/var/lib/dpkg/status.d/$(basename "$deb" .deb)"; done'
)
"""Lists the packages in the image, for its bill of materials: they are unpacked, not installed."""
CONFIGURATION = REPOSITORY / "deploy" / "containers.conf"
INSTALL = "buildah podman runc mmdebstrap catatonit slirp4netns uidmap"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--pids-limit", "128")  # noqa: S108
"""How an image is run: nothing can be written but /tmp, and nothing is privileged."""


@dataclass(frozen=True)
class Engine:
    """What builds and runs images.

    Parameters
    ----------
    builder, runner : str
        The programs.
    base : str
        The image that services are built on.
    """

    builder: str
    runner: str
    base: str

    @classmethod
    def found(cls) -> Engine:
        """The engine of this machine.

        Raises
        ------
        ContainerError
            If there is none.
        """
        if shutil.which("docker") and run(["docker", "info"], check=False).returncode == 0:
            return cls("docker", "docker", STOCK)
        if shutil.which("buildah") and shutil.which("podman"):
            return cls("buildah", "podman", OWN)
        raise ContainerError(f"There is no container engine. Install Docker, or on Debian 12: apt-get install {INSTALL}")

    def try_out(self) -> None:
        """Run the base image once.

        Raises
        ------
        ContainerError
            If containers do not run on this machine.
        """
        self._require_base()
        network = [] if self.runner == "docker" else ["--network", "host"]
        run([self.runner, "run", "--rm", *network, *HARDENED, self.base, "python3.11", "-c", "pass"])

    def build(self, context: Path, containerfile: Path, tag: str, labels: dict[str, str]) -> None:
        """Build an image of a folder.

        Raises
        ------
        ContainerError
            With what the engine said last.
        """
        self._require_base()
        named = [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
        arguments = ["--build-arg", f"BASE={self.base}", "-f", str(containerfile), "-t", tag, *named, str(context)]
        run([self.builder, "build", *arguments])

    def inspect(self, tag: str) -> dict[str, Any] | None:
        """What the engine knows of an image; None if there is none."""
        done = run([self.runner, "image", "inspect", tag], check=False)
        return None if done.returncode else dict(json.loads(done.stdout)[0])

    def save(self, tag: str, archive: Path) -> None:
        """Write an image to a file."""
        form = [] if self.runner == "docker" else ["--format", self.archive]
        run([self.runner, "save", *form, "-o", str(archive), tag])

    @property
    def archive(self) -> str:
        """The form of what `save` writes, as the bill of materials' maker calls it; Docker has one form only."""
        return "docker-archive" if self.runner == "docker" else "oci-archive"

    def start(self, tag: str, port: int, memory_mb: int, variables: Mapping[str, str]) -> str:
        """Run an image on a port of the loopback, hardened, with variables in its environment; its container's id."""
        # podman inside another container has no network of its own to give
        where = ["-p", f"127.0.0.1:{port}:3000"] if self.runner == "docker" else ["--network", "host"]
        command = [] if self.runner == "docker" else ["--host", "127.0.0.1", "--port", str(port)]
        limits = [*HARDENED, "--memory", f"{memory_mb}m"]
        # by name only: what a command line holds, any user of this machine can read
        named = [part for name in variables for part in ("--env", name)]
        done = run([self.runner, "run", "-d", *where, *limits, *named, tag, *command], variables=variables)
        return done.stdout.strip()

    def stop(self, container: str) -> str:
        """Stop a container as an orchestrator does, and remove it; what it had logged."""
        run([self.runner, "stop", "-t", "25", container], check=False)
        done = run([self.runner, "logs", container], check=False)
        run([self.runner, "rm", "-f", container], check=False)
        return done.stdout + done.stderr

    def _require_base(self) -> None:
        if self.base != OWN or self.inspect(OWN) is not None:
            return
        if not shutil.which("mmdebstrap"):
            raise ContainerError("mmdebstrap makes the base image and is missing. On Debian 12: apt-get install mmdebstrap")
        with tempfile.TemporaryDirectory() as scratch:
            tar = Path(scratch) / "base.tar"
            without = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
            options = ["--variant=extract", f"--include={','.join(PACKAGES)}", f"--extract-hook={LISTED}", *without]
            run(["mmdebstrap", *options, "bookworm", str(tar)])
            run([self.runner, "import", str(tar), OWN])


def run(
    command: Sequence[str], *, check: bool = True, cwd: Path | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program, in another folder and with further variables if need be.

    Raises
    ------
    ContainerError
        If it fails and that is checked, with what it said last.
    """
    own = {"CONTAINERS_CONF": str(CONFIGURATION)} if _contained() else {}
    environment = {**own, **os.environ, **(variables or {})}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise ContainerError(f"`{' '.join(command[:3])}` failed with exit code {done.returncode}:\n{tail}")
    return done


def _contained() -> bool:
    """Whether this process runs as root inside a container or a sandbox, where an engine's defaults are not allowed."""
    return os.geteuid() == 0 and not Path("/run/systemd/system").exists()
