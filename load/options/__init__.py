"""The command line and the web UI's start form, frozen into one `Options`; imports no Locust.

Names of scenarios are checked by `load.plugin`, which knows them.
"""

from load.options.asked import Defaults, Options, Rate, Stage
from load.options.offered import add_options
from load.options.reading import read_options

__all__ = ["Defaults", "Options", "Rate", "Stage", "add_options", "read_options"]
