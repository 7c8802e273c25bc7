"""Tests run the sources, unless NATIVE=1 asks for the native build."""

import os

os.environ.setdefault("NATIVE", "0")
