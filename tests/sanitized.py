"""A plugin for pytest: the tests run the extension of another build, one with sanitizers.

``make sanitize`` makes that build, names its folder in ``FOURD_SANITIZED`` and calls ``pytest -p sanitized``.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def pytest_configure() -> None:
    """Put the other extension where the loader looks for it, before any test asks for a kernel."""
    (path,) = Path(os.environ["FOURD_SANITIZED"]).glob("_cpu.*.so")
    spec = importlib.util.spec_from_file_location("fourd.native._cpu", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["fourd.native._cpu"] = module
