"""What `dialects.<name>` may say and means: the seam between this package and those who add such a section.

Owns the interface. Must not know which sections there are: callers of `load` pass them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pgrpc.config import model


@dataclass(frozen=True, slots=True)
class Given:
    """One section as it was written. values: they match the section's schema; faulty ones are left out.

    folder: where relative paths start. channels: what the file lists under `channels`; None where that has faults.
    fault(place, words): reports what is wrong with the value at a place inside the section, and how to correct it.
    """

    values: Mapping[str, Any]
    folder: Path
    channels: tuple[model.Channel, ...] | None
    fault: Callable[[model.Place, str], None]


class Section(Protocol):
    """A section of `dialects`. One without a mapping (`true`, or nothing after its name) has its defaults."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """Its JSON Schema. A `$ref` to `#/$defs/...` leads into schemas/config.schema.json.

        `removedFrom`: {"channel": {"old_key": "what to write instead"}}, for keys that moved from there to here.
        """

    def read(self, given: Given) -> Any:
        """The frozen value that the rest of pgrpc gets as `Config.dialects[name]`."""


Sections = Mapping[str, Section]
"""Name -> section."""
