"""Readers: where photos and individuals come from. One file each."""
