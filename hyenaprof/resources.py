"""Finds what is shipped beside the code: scenarios, claims and tables, in a wheel, an editable install and a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def scenario_files() -> dict[str, Path]:
    """Shipped scenarios by bare name, sorted: `modern` is `scenarios/modern.yaml`."""
    return _by_name(_shipped("scenarios"))


def claims_files() -> dict[str, Path]:
    """Shipped files of published claims by bare name, sorted; empty where there are none."""
    return _by_name(_shipped("scenarios") / "claims")


def table_files() -> dict[str, Path]:
    """Shipped tables of published times by file name, sorted: `hyena-fig4.3.csv`."""
    return {path.name: path for path in sorted((_shipped("scenarios") / "claims").glob("*.csv"))}


def _shipped(folder: str) -> Path:
    # A wheel carries the folder inside the package (pyproject.toml, force-include); a checkout has it at the top. The
    # wheel's copy comes first: what stands beside an installed package is somebody else's.
    inside = _PACKAGE / "_data" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def _by_name(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
