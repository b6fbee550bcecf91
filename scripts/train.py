#!/usr/bin/env python3
"""Train DSLNet on a pool: ``python scripts/train.py --pool POOL --validation VAL --run runs/one``.

Start it again with the same arguments and it goes on where it was. Several processes:
``accelerate launch --num_processes 2 scripts/train.py ...`` or ``torchrun``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
from vsdslnet.training.pool import Pool

from vsdslnet import weights
from vsdslnet.errors import DslnetError
from vsdslnet.training.loop import train
from vsdslnet.training.report import plot_log
from vsdslnet.training.train_config import available_schedules, load_schedule


def main() -> None:
    """Parse, train, plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, help="folder made by build_dataset.py")
    parser.add_argument("--validation", type=Path, help="validation pool")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoint, log and weights")
    parser.add_argument("--schedule", default="two-cores", help=f"{', '.join(available_schedules())} or a .toml file")
    parser.add_argument("--steps", type=int, help="instead of the schedule's")
    parser.add_argument("--seed", type=int, help="instead of the schedule's")
    parser.add_argument("--start", help="model name or .safetensors file a new run starts from")
    arguments = parser.parse_args()
    try:
        config = load_schedule(arguments.schedule)
        changes = {name: getattr(arguments, name) for name in ("steps", "seed")}
        config = msgspec.structs.replace(config, **{k: v for k, v in changes.items() if v is not None})
        network = None
        if arguments.start:
            network = weights.load_network(weights.read(weights.find(arguments.start))).requires_grad_(True)
            config = msgspec.structs.replace(config, network=network.config)
        train(
            config,
            Pool(arguments.pool),
            arguments.run,
            network=network,
            validation=Pool(arguments.validation) if arguments.validation else None,
        )
        plot_log(arguments.run / "log.jsonl", arguments.run / "log.png")
    except DslnetError as error:
        raise SystemExit(f"train: {error}") from None


if __name__ == "__main__":
    main()
