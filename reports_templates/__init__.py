"""Markup, style and script of the pages (package data; read by ``engagement.reports.render``)."""
