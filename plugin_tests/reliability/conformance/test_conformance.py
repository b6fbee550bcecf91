"""The short versions of what ``scripts/reliability.py`` measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_tests.reliability.conformance import colour_numbers, hdr10_files, order, supply, temporal, trained
from plugin_tests.reliability.figures import Options, broken

pytestmark = pytest.mark.usefixtures("core", "plugin_in_children")


def test_any_order_and_any_number_of_threads_give_the_same_bits(tmp_path: Path) -> None:
    assert broken(order.measure(Options(folder=tmp_path, quick=True))) == []


def test_colour_numbers_are_the_standards(tmp_path: Path) -> None:
    assert broken(colour_numbers.measure(Options(folder=tmp_path, quick=True))) == []


def test_the_trained_network_is_monotone_and_stays_within_black_and_peak(tmp_path: Path) -> None:
    assert broken(trained.measure(Options(folder=tmp_path, quick=True))) == []


@pytest.mark.slow
def test_the_trained_network_keeps_still_over_time(tmp_path: Path) -> None:
    assert broken(temporal.measure(Options(folder=tmp_path, quick=True))) == []


def test_files_of_the_presets_are_hdr10_to_two_readers(tmp_path: Path) -> None:
    assert broken(hdr10_files.measure(Options(folder=tmp_path, quick=True))) == []


def test_dependencies_are_accounted_for_and_nothing_is_fetched(tmp_path: Path) -> None:
    assert broken(supply.measure(Options(folder=tmp_path, quick=True))) == []
