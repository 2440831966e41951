"""The settings of a program that looks for them by itself: those that its environment holds."""

import json
import os

globals().update(json.loads(os.environ["TURBO_ORM_TEST_SETTINGS"]))
