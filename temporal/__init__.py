"""Training and evaluation. Lightning lives here alone; ``engagement`` never imports this package."""

#: Checked before the import: other distributions install a top-level package of this name.
OWNER = "engagement"
