"""A package index of empty wheels in a folder, and locks of some of them; no network."""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FILE_DATE = (2020, 1, 1, 0, 0, 0)


class Stub(NamedTuple):
    """One version of a package that holds one empty module."""

    name: str
    version: str
    metadata: Sequence[str] = ()

    @property
    def module(self) -> str:
        """The name to import."""
        return self.name.replace("-", "_")

    def write(self, folder: Path) -> Path:
        """Write the wheel."""
        about = f"{self.module}-{self.version}.dist-info"
        head = ("Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}", *self.metadata)
        files = {
            f"{self.module}.py": f"version = {self.version!r}\n",
            f"{about}/METADATA": "".join(f"{line}\n" for line in head),
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{about}/RECORD"))
        wheel = folder / f"{self.module}-{self.version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name, FILE_DATE), text)
        return wheel


def write_index(folder: Path, stubs: Sequence[Stub]) -> str:
    """Write a "simple" index (PEP 503) of *stubs*; return its URL."""
    for name in {stub.name for stub in stubs}:
        project = folder / name
        project.mkdir(parents=True)
        wheels = [stub.write(project).name for stub in stubs if stub.name == name]
        (project / "index.html").write_text("".join(f'<a href="{wheel}">{wheel}</a>\n' for wheel in wheels))
    return folder.as_uri() + "/"


def lock(folder: Path, stubs: Sequence[Stub]) -> str:
    """Return a lock of *stubs*, which are in the index in *folder*, in the form of requirements.lock."""
    lines = []
    for stub in stubs:
        [wheel] = (folder / stub.name).glob(f"*-{stub.version}-*.whl")
        lines.append(f"{stub.name}=={stub.version} \\\n    --hash=sha256:{_sha256(wheel)}\n")
    return "".join(lines)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
