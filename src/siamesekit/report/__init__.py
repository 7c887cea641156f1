"""One self-contained page of a run, with pictures.

`content` defines the page's data, `charts` draws the figures, `training` writes the sentences on the epochs, and `html`
puts all three together; `card` is the short form for a notebook.
"""
