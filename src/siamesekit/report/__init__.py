"""One self-contained page of a run, with pictures.

`content` defines the page's data, `charts` and `evaluation_charts` draw the figures, and `pictures` and `tables` write
photos and tables; `matched_points` draws two photos with the points that they share. `training`, `further`, `verdicts`,
`search` and `embedding_map` write sections, and `html` puts the page together; `card` is the short form for a notebook.
"""
