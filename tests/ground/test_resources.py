from __future__ import annotations

from pathlib import Path

import pytest

from hyenaprof import resources
from hyenaprof.records.scenario import load_scenario

SHIPPED = {"hyena-vs-flash", "modern", "paper-fig4.3", "quick", "safari-script", "filters"}


def test_the_shipped_scenarios_are_found_by_bare_name():
    assert set(resources.scenario_files()) >= SHIPPED


@pytest.mark.parametrize("name", sorted(resources.scenario_files()))
def test_a_shipped_scenario_loads_is_named_as_its_file_and_fits_one_page(name):
    path = resources.scenario_files()[name]
    scenario = load_scenario(path)
    assert scenario.name == name
    assert scenario.purpose
    assert len(path.read_text().splitlines()) <= 40


def ship(folder: Path, name: str) -> None:
    (folder / "claims").mkdir(parents=True)
    (folder / f"{name}.yaml").write_text("")
    (folder / "claims" / f"{name}-claims.yaml").write_text("")
    (folder / "claims" / f"{name}.csv").write_text("")


def test_the_copy_inside_the_package_comes_before_a_folder_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "hyenaprof")
    beside, inside = tmp_path / "scenarios", tmp_path / "hyenaprof" / "_data" / "scenarios"
    ship(beside, "checkout")
    assert resources.scenario_files() == {"checkout": beside / "checkout.yaml"}
    ship(inside, "wheel")
    assert resources.scenario_files() == {"wheel": inside / "wheel.yaml"}
    assert resources.claims_files() == {"wheel-claims": inside / "claims" / "wheel-claims.yaml"}
    assert resources.table_files() == {"wheel.csv": inside / "claims" / "wheel.csv"}


def test_nothing_shipped_is_nothing_found(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "hyenaprof")
    assert resources.scenario_files() == {}
    assert resources.claims_files() == {}
    assert resources.table_files() == {}
