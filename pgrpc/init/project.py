"""The files of a new project: config.yaml, and a page with its client.

Owns their names and how they are written. Must not know the text of config.yaml.
"""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from pgrpc.demo import examples
from pgrpc.init import config_file, surface

_PAGE = resources.files(__package__) / "index.html"
NAMES = ("config.yaml", "public/index.html", "public/pgrpc.js")


def existing(folder: Path) -> Sequence[Path]:
    """Those of the files that are there already."""
    return [folder / name for name in NAMES if (folder / name).exists() or (folder / name).is_symlink()]


def write(folder: Path, found: surface.Surface | None) -> Mapping[str, Sequence[Path]]:
    """What was done -> the files it was done to. Raises OSError. found: None where no database was named."""
    contents: Mapping[str, str] = dict(
        zip(
            NAMES,
            (
                config_file.text(found),
                _PAGE.read_text(encoding="utf-8"),
                examples.client().read_text(encoding="utf-8"),
            ),
            strict=True,
        )
    )
    (folder / "public").mkdir(parents=True, exist_ok=True)
    done: dict[str, list[Path]] = {}
    for name, text in contents.items():
        path, new = folder / name, text.encode()
        old = path.read_bytes() if path.exists() else None
        if old != new:
            path.write_bytes(new)
        done.setdefault("written" if old is None else "unchanged" if old == new else "overwritten", []).append(path)
    return done
