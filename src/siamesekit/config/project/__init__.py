"""A new project for a folder of photos: `survey` inspects the photos, `config_text` writes a config that fits them,
`project` writes the files.
"""
