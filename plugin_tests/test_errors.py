"""What an error says, and that it survives the trip between processes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

import vsdslnet
from vsdslnet import ArgumentError, DslnetError, errors


def test_argument_error_names_argument_value_allowed_and_cure() -> None:
    error = ArgumentError("peak", -3, "a number from 300 to 10000", "leave it out for 1000")
    text = str(error)
    for part in ("peak", "-3", "a number from 300 to 10000", "leave it out for 1000"):
        assert part in text
    assert "\n" not in text


def test_a_long_or_many_lined_value_stays_one_short_line() -> None:
    text = str(ArgumentError("model", "x\ny" * 10_000, "a name"))
    assert "\n" not in text
    assert len(text) < 200


def test_a_number_too_long_to_print_is_described() -> None:
    assert "<int>" in str(ArgumentError("peak", 10**5000, "a number"))


def test_a_value_whose_repr_fails_is_named_by_its_type() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert "Broken" in str(ArgumentError("device", Broken(), "cpu"))


@pytest.mark.parametrize("clone", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_argument_error_survives_pickling_and_copying(clone) -> None:  # type: ignore[no-untyped-def]
    error = ArgumentError("peak", -3, "300 to 10000", "leave it out")
    again = clone(error)
    assert type(again) is ArgumentError
    assert str(again) == str(error)
    assert (again.argument, again.got, again.allowed, again.cure) == (
        "peak",
        -3,
        "300 to 10000",
        "leave it out",
    )


def test_every_public_error_is_a_dslnet_error() -> None:
    for name in vsdslnet.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(vsdslnet, name), DslnetError)


def test_all_names_every_public_class_and_function_and_the_tree_every_class() -> None:
    here = {
        name
        for name, value in vars(errors).items()
        if getattr(value, "__module__", None) == errors.__name__ and not name.startswith("_")
    }
    assert set(errors.__all__) == here
    assert errors.__all__ == sorted(errors.__all__)
    for name in here:
        if isinstance(getattr(errors, name), type):
            assert f"── {name} " in (errors.__doc__ or "")


def test_argument_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="strength"):
        raise ArgumentError("strength", 2, "0 to 1")


@pytest.mark.parametrize("module", ["vsdslnet", "vsdslnet.errors", "vsdslnet.options", "vsdslnet.weights"])
def test_importing_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
