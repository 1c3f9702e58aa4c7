"""Reads an object from standard input with the generated types, and writes it again."""

import json
import sys

from resources import Gadget

json.dump(Gadget.from_json(json.load(sys.stdin)).to_json(), sys.stdout)
