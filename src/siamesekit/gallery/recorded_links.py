"""Links between a catalogue's photos that follow from what people have decided, with `decide`, `merge` and `split`.

Photos that a person has given to their individual are must-linked, and so is the nearest of its other photos to them.
A photo is cannot-linked to the photos of individuals that a person has rejected for it, or from which one has split it.
Changes that are undone, and decisions that later ones have overruled, do not count.
"""

from __future__ import annotations

import sqlite3

import torch

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.gallery.links import Links, Pair, groups_of
from siamesekit.gallery.search import Gallery

KEPT = "NOT EXISTS (SELECT 1 FROM changes u WHERE u.undoes = c.id)"
PLACED = (
    "SELECT DISTINCT m.photo FROM moves m JOIN changes c ON c.id = m.change JOIN photos p ON p.id = m.photo "
    f"WHERE c.command IN ('decide', 'merge', 'split') AND m.after = p.individual AND {KEPT} ORDER BY m.photo"
)
REJECTED = (
    f"SELECT r.photo, r.individual FROM rejected r JOIN changes c ON c.id = r.change WHERE {KEPT} UNION "
    "SELECT m.photo, m.before FROM moves m JOIN changes c ON c.id = m.change "
    f"WHERE c.command = 'split' AND m.before IS NOT NULL AND {KEPT} ORDER BY 1, 2"
)


def recorded_links(connection: sqlite3.Connection, gallery: Gallery, distance: Distance) -> Links:
    """The links among the photos of a gallery, by their indices.

    Args:
        connection: the database.
        gallery: the photos.
        distance: the model's distance, for the nearest photo.
    """
    index = {int(photo): place for place, photo in enumerate(gallery.photos)}
    placed = {index[photo] for (photo,) in connection.execute(PLACED) if photo in index}
    must: list[Pair] = []
    for members in groups_of(gallery.individuals):
        own = [photo for photo in members.tolist() if photo in placed]
        others = [photo for photo in members.tolist() if photo not in placed]
        must += [(own[0], photo) for photo in own[1:]]
        if own and others:
            with torch.no_grad():
                far = pairwise(distance, gallery.embeddings[own], gallery.embeddings[others])
            near = int(far.argmin())
            must.append((own[near // len(others)], others[near % len(others)]))
    owner: dict[int, int] = dict(connection.execute("SELECT id, individual FROM photos WHERE individual IS NOT NULL"))
    of: dict[int, list[int]] = {}
    for photo, place in index.items():
        of.setdefault(owner[photo], []).append(place)
    cannot = [
        (index[photo], other)
        for photo, individual in connection.execute(REJECTED)
        if photo in index and owner[photo] != individual
        for other in of.get(individual, ())
    ]
    return Links(len(gallery), tuple(must), tuple(cannot))
