"""What a user corrects after an analysis: names, merges, splits, who is hidden, who opts out.

``file`` reads the names file, ``plan`` says what it means for one video and what is wrong with it,
``rebuild`` makes the tables, ``folder`` writes them, ``carry`` keeps people's ids over a new analysis.
Importing this package loads nothing.
"""
