"""Fixtures that several test modules share."""

import gc
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of open motion data beside the repository; tests that need it are marked `shared`."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the open motion data are not there: expected the folder {folder}")
    return folder


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_functions():
    """Compiled functions of a module's networks would stay in memory, gigabytes of them over the suite."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
