"""Networks and heads fitted to labelled faces; all that knows Lightning."""
