"""A benchmark that measures nothing, to see what the harness does with its rows."""

import os
import sys

from harness import STOCK, Benchmark, Row, fastest, main
from machine import peak_memory_mb

from sedna_tinyms.errors import DatasetError


def prepare(options, run):
    (run.shared / "start").write_text("ready")
    return {}


def quick(options, run):
    print("what a library prints")
    return {
        "seconds": 3.0 - run.number,
        "process": os.getpid(),
        "start": (run.shared / "start").read_text(),
        "oneDNN": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "cache": os.environ["SEDNA_TINYMS_ACTIVATIONS"],
        "peak_memory_mb": peak_memory_mb(),
    }


def failing(options, run):
    raise DatasetError("the row's own complaint", code="toy")


def finish(rows):
    for row in rows:
        row["place"] = rows.index(row)
    return {"together": len(rows)}


TOY = Benchmark(
    name="toy",
    script=__file__,
    columns={"seconds": ".1f", "place": "d"},
    rows=lambda options: [
        Row("quick", quick),
        Row("absent", quick, needs=("no_such_module",)),
        Row("stock", quick, environment=STOCK, once=True),
        Row("failing", failing),
    ],
    prepare=prepare,
    gather=fastest,
    finish=finish,
)

if __name__ == "__main__":
    sys.exit(main(TOY))
