"""Photos and individuals in the formats that field teams keep, out and back.

`sources` gives observations: the photos of a catalogue, of a person's decisions, of a match, or of any reader. A format
makes files of them: `camtrap_dp` with its `camtrap_fields`, `wildlife_frame`, `coco` and `wildbook`; `converting`
chooses it and writes the files. What a format cannot hold becomes a note, never a silent loss. `filling_in` puts
individuals into a package that a team has already, and changes nothing else in it. The way back is a reader.
"""
