"""Descriptions of what a config can contain: tables of keys, lines of options, pages of components."""
