"""Markup, style and script of the pages (package data; read by ``engagement.reports.templates``)."""

#: Checked before use: the name might be taken by somebody else.
OWNER = "engagement"
