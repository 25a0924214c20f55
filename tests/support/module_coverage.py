"""A pytest plugin with one rule: the own test file of each pure module covers 100 % of its lines and branches.

    python -m pytest --module-coverage tests                                         # every one
    python -m pytest --module-coverage tests/unit/core/wire/test_errors.py -n 0      # one, by hand

Owns which modules are pure and where the own test file of each is; measuring the tests of these files, each file under
a context of its own; and the verdict. Coverage that a neighbour's tests happen to give says nothing about what a module
promises, so only the own file's context counts, and that of importing, which belongs to no test. Everything else runs
untraced. Must not know what a test asserts.
"""

import importlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import coverage
import pytest

PROJECT = Path(__file__).resolve().parents[2]
PURE = {
    "pgrpc/core": ("tests/unit/core", "**/*.py"),
    "pgrpc/compat/postgresql2websocket": ("tests/compat/postgresql2websocket", "sql_*.py"),
}
"""Folder of modules -> folder of their test files, which mirrors it, and which files of the former are meant."""

IMPORTS = "imports"
"""The context of what runs while the modules are imported."""

UNMEASURED = "tests.support.samples"
"""Calls what is measured while it is imported, which would count for whichever test file happens to come first."""


SENT = "module_coverage"
"""The key under which a worker of xdist sends what it measured."""


def own_tests() -> dict[str, str]:
    """Module -> its own test file, both as paths in the project."""
    return {
        f"{folder}/{module.relative_to(PROJECT / folder)}": str(
            Path(tests) / module.relative_to(PROJECT / folder).with_name(f"test_{module.name}")
        )
        for folder, (tests, pattern) in PURE.items()
        for module in sorted((PROJECT / folder).glob(pattern))
        if module.name != "__init__.py"
    }


def measuring(**options: Any) -> coverage.Coverage:
    """A measurement that keeps nothing on disk."""
    folders = [str(PROJECT / folder) for folder in PURE]
    return coverage.Coverage(None, source=folders, config_file=str(PROJECT / "pyproject.toml"), **options)


class Meter:
    """Traces the tests of the own test files, in each process that runs tests."""

    def __init__(self) -> None:
        # The sys.monitoring of newer Pythons reports a line once, not once for each context.
        os.environ["COVERAGE_CORE"] = "ctrace"
        self._coverage = measuring()
        self._files = frozenset(own_tests().values())
        self._context: str | None = None
        self._caches: list[Any] = []

    def import_modules(self) -> None:
        with self._tracing(IMPORTS):
            modules = [importlib.import_module(name.removesuffix(".py").replace("/", ".")) for name in own_tests()]
        self._caches = [each for module in modules for each in vars(module).values() if hasattr(each, "cache_clear")]
        importlib.import_module(UNMEASURED)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[Any]:
        """A test file's tables are made, and with them what is measured may be called, while it is collected."""
        with self._tracing(self._of(collector.path) if isinstance(collector, pytest.Module) else None):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        with self._tracing(self._of(item.path)):
            return (yield)

    def data(self) -> coverage.CoverageData:
        return self._coverage.get_data()

    def _of(self, path: Path) -> str | None:
        found = path.relative_to(PROJECT).as_posix()
        return found if found in self._files else None

    @contextmanager
    def _tracing(self, context: str | None) -> Iterator[None]:
        """Measure under this context; of none, nothing."""
        if context is None:
            yield
            return
        if context != self._context:
            for cache in self._caches:  # what another file's tests put there this one has not made
                cache.cache_clear()
        self._coverage.start()
        if context != self._context:
            self._coverage.switch_context(context)
            self._context = context
        try:
            yield
        finally:
            self._coverage.stop()


class Verdict:
    """Judges the data of all processes, in the one that reports."""

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._parts: list[coverage.CoverageData] = []
        self._files: set[str] = set()
        self.faults: list[str] = []
        self.judged = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if SENT in node.workeroutput:
            part = coverage.CoverageData(no_disk=True)
            part.loads(node.workeroutput[SENT])
            self._parts.append(part)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._files.add(report.nodeid.partition("::")[0])

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        result = yield  # xdist ends its workers here, which send what they have
        if self._meter is not None:
            self._parts.append(self._meter.data())
        self._judge()
        if self.faults and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    def _judge(self) -> None:
        total = measuring()
        for part in self._parts:
            total.get_data().update(part)
        for module, file in own_tests().items():
            if not (PROJECT / file).exists():
                self.faults.append(f"{module} has no {file}")
            elif file in self._files:
                self.judged += 1
                self.faults += uncovered(total, module, file)
        for data in (*self._parts, total.get_data()):
            data.close(force=True)  # its SQLite in memory, which newer Pythons report when it is left open

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.faults:
            terminalreporter.section("modules that their own tests do not cover", red=True, bold=True)
        for fault in self.faults:
            terminalreporter.write_line(fault)
        words = f"own tests cover {self.judged - len(self.faults)} of {self.judged} modules completely"
        terminalreporter.write_line(words, red=bool(self.faults))


def uncovered(total: coverage.Coverage, module: str, file: str) -> list[str]:
    """What the module's own tests leave out: nothing, or one text that names the lines and branches."""
    table = io.StringIO()
    contexts = [f"^{re.escape(context)}$" for context in (IMPORTS, file)]
    percent = total.report([str(PROJECT / module)], show_missing=True, precision=2, contexts=contexts, file=table)
    if percent == 100:
        return []
    missing = next(line for line in table.getvalue().splitlines() if line.startswith(module)).split("%", 1)[1]
    return [f"{module}: {file} alone leaves out lines or branches {missing.strip()}"]


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "judge whether the own test file of each pure module, where it is run, covers the module completely"
    parser.addoption("--module-coverage", action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("module_coverage"):
        return
    worker = hasattr(config, "workerinput")
    meter = Meter() if worker or not config.getoption("numprocesses", None) else None
    if meter is not None:
        meter.import_modules()
        config.pluginmanager.register(meter, "module_coverage_meter")
    if not worker:
        config.pluginmanager.register(Verdict(meter), "module_coverage_verdict")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of a worker: send what was measured."""
    meter: Meter | None = session.config.pluginmanager.get_plugin("module_coverage_meter")
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if meter is not None and output is not None:
        output[SENT] = meter.data().dumps()
        meter.data().close(force=True)
