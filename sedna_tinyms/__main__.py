"""`python -m sedna_tinyms` is the `sedna-tinyms` command."""

import sys

from sedna_tinyms.cli import main

sys.exit(main())
