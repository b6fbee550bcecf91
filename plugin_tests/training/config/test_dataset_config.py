"""Recipes are strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsdslnet.errors import ArgumentError
from vsdslnet.training.config.dataset import load_recipe
from vsdslnet.training.simulation.sdr_looks import LOOKS


def test_the_shipped_recipe_names_only_looks_that_exist_and_covers_every_one() -> None:
    recipe = load_recipe()
    assert set(recipe.looks) == set(LOOKS)
    assert all(set(group.looks or {}) <= set(LOOKS) for group in recipe.validation)


def test_validation_groups_have_names_of_their_own() -> None:
    names = [group.name for group in load_recipe().validation]
    assert len(names) == len(set(names)) >= 12


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("validation_scenes = []\n[looks]\ngainmap = 1\n[grade]\ncontrasts = [1, 1]", "contrasts"),
        ("validation_scenes = []\n[looks]\ngainmap = 'much'", "looks"),
        ("looks = {", "TOML|toml|Invalid|Unclosed|Expected|line"),
    ],
)
def test_unknown_keys_wrong_types_and_broken_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=says):
        load_recipe(path)


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"nothing\.toml"):
        load_recipe(tmp_path / "nothing.toml")
