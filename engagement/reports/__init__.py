"""Tables to offline pages: colours and wording, figures, HTML. Importing this package loads nothing."""
