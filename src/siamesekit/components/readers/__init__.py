"""Readers, which list photos and their individuals. One file each."""
