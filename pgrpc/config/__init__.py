"""YAML -> validated frozen values, each fault as `config.yaml:12:5: functions.bid.timeout: ...`.

Owns configuration: what can be said in the file, its defaults, its words. The only reader of it. Must not know how
anything that it configures works.

    reader          the file -> Config, or Invalid with everything that is wrong
    ├── yamltree        YAML text -> plain values and their positions
    ├── substitution    ${VAR}, ${file:PATH}
    ├── validate        the values against schemas/config.schema.json, in our own words
    ├── units           10s, 64KiB
    ├── auth            which keys go together, and their files
    ├── edge            how clients reach the server
    ├── access          roles, claims in names, rates
    ├── schemafiles     the JSON Schemas that functions name (jsonfile reads one)
    └── faults          what was wrong so far
    sections        what a section of `dialects` must say for itself
    model           the dataclasses
"""

from pgrpc.config.model import (
    Auth,
    Channel,
    Config,
    Database,
    Function,
    Invalid,
    Limits,
    Marks,
    SchemaFile,
    Server,
    Tls,
)
from pgrpc.config.reader import load
from pgrpc.config.sections import Given, Section, Sections
from pgrpc.config.units import seconds

__all__ = [
    "Auth",
    "Channel",
    "Config",
    "Database",
    "Function",
    "Given",
    "Invalid",
    "Limits",
    "Marks",
    "SchemaFile",
    "Section",
    "Sections",
    "Server",
    "Tls",
    "load",
    "seconds",
]
