"""Photos and individuals: records, how files are found, headers read, pixels decoded, and parts split.

`records` names a photo; `photo_folders`, `photo_files` and `photo_headers` look at files without decoding them;
`images` decodes and scales one photo, `loading` all of a run's, `photo_inputs` whatever a user hands over;
`pixel_store` keeps decoded photos; `splits` makes parts; `passed_over` and `foreign_formats` say what is not read.
Below `images`, `decoding` calls `photo_formats` (which formats), `checksums` (damage), `jpeg`, `tiff_directories`,
`tiff_samples` and `png_samples` (pixels), `deep_photos` (more than 8 bits) and `colour_profiles`; `photo_reading` has
the options.
"""
