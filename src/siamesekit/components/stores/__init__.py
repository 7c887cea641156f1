"""Stores: where a catalogue's embeddings are searched, one file each, the class first."""
