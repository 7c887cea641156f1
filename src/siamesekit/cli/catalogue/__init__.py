"""The commands of a catalogue, one module for each task; `app` puts them beside the others.

`enrolling` makes a catalogue and adds photos, `searching` asks who is on a photo, and `seasons` asks it for all photos
of a season, on a page where a person decides. `reporting` measures the answers. `correcting` is for errors in who is
who, `keeping` for the catalogue as a whole: its model and its store, and `exchanging` for the formats of other
programs.
"""
