"""What the tests of several modules of `jobs` share."""
import pytest


@pytest.fixture
def schedule_folder(tmp_path, monkeypatch):
    "The folder of the scheduler, in a data folder of its own."
    monkeypatch.setenv("RGG_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "schedule").mkdir(parents=True)
    return tmp_path / "data" / "schedule"
