import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "incremental_mobilenetv2"
sys.path.insert(0, str(EXAMPLE))  # the scripts import each other by their plain names
