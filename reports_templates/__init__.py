"""Markup, style and script of the pages (package data; read by ``engagement.reports.render``)."""

#: Checked before use: the name might be taken by somebody else.
OWNER = "engagement"
