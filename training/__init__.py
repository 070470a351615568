"""Training and evaluation. Lightning lives here alone; ``engagement`` never imports this package."""

from collections.abc import Callable

#: Checked before the import: other distributions install a top-level package of this name.
OWNER = "engagement"

#: Gets a line on how a run goes.
Say = Callable[[str], None]
