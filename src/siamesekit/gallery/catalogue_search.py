"""Search a catalogue: what is searched, and what is fitted to it, is kept until the catalogue changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.errors import UserError
from siamesekit.gallery import known_photos
from siamesekit.gallery.identification import NEAREST
from siamesekit.gallery.identification_sample import sample
from siamesekit.gallery.identifying import FittedIdentification, fit_identification
from siamesekit.gallery.promise import promise
from siamesekit.gallery.refinement import Refinement, Refiner
from siamesekit.gallery.search import AT_ONCE, Answer, Gallery, Names, Scoring, answers, rank
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.gallery.second_look import Looker, SecondLook, look_again
from siamesekit.gallery.sighting import Sighting
from siamesekit.gallery.storage import Storage, finite
from siamesekit.progress import Progress, progress_here

CANDIDATES = 12
"""Individuals in an answer by default, as the field shows them."""


class CatalogueSearch:
    """Searches a catalogue.

    Args:
        storage: the catalogue.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._searched: tuple[int, Gallery, Names] | None = None
        self._chosen: tuple[int, str, Gallery, Names] | None = None
        self._fitted: tuple[Gallery, dict[Hashable, FittedIdentification]] | None = None
        self._refined: tuple[Gallery, Refiner] | None = None

    @property
    def distance(self) -> Distance:
        """The model's distance."""
        return self.storage.model.distance

    def gallery(self, where: str | None = None, progress: Progress | None = None) -> tuple[Gallery, Names]:
        """The photos to search, with their names.

        Args:
            where: condition on the photos; None: all.
            progress: told if the store had lost photos, which are put back.

        Raises:
            UserError: there are none.
        """
        storage = self.storage
        with storage.telling():
            storage.searched.complete(progress or progress_here())
        with storage.reading():
            last = storage.last_change()
            if self._searched is None or self._searched[0] != last:
                gallery, names = known_photos.read(storage.connection, storage.matrix)
                self._searched = last, self._found_by_store(gallery, whole=True), names
            _, gallery, names = self._searched
            if not len(gallery):
                raise UserError("the catalogue is empty: add photos to it (siamesekit add CATALOGUE INPUT)")
            if where is None:
                return gallery, names
            if self._chosen is None or self._chosen[:2] != (last, where):
                part, part_names = known_photos.chosen(storage.connection, gallery, names, where)
                self._chosen = last, where, self._found_by_store(part, whole=False), part_names
            return self._chosen[2:]

    def require(
        self, options: SearchOptions, progress: Progress | None = None, together: int = 1
    ) -> tuple[Gallery, Names]:
        """Check that a search can be made as asked; return what it searches; see `Catalogue.require_search`."""
        gallery, names = self.gallery(options.where, progress)
        count = len(names.individuals)
        if options.k is not None and not 1 <= options.k <= count:
            raise UserError(f"k = {options.k}, but {count} individuals are searched; choose a k from 1 to {count}")
        if options.false_known is not None:
            fitted = self.identification(options.scoring, together, options.second_look, options.refinement)
            promise(fitted, options.false_known, count)
        return gallery, names

    def search(
        self,
        names: Sequence[str],
        embeddings: Tensor,
        options: SearchOptions,
        together: bool,
        photos: Sequence[Sighting],
    ) -> list[Answer]:
        """Search by embeddings `[Q, D]` of the catalogue's model; see `Catalogue.search_embeddings`."""
        if len(embeddings) > AT_ONCE and not together:
            parts = [slice(start, start + AT_ONCE) for start in range(0, len(embeddings), AT_ONCE)]
            several = [self.search(names[each], embeddings[each], options, False, photos[each]) for each in parts]
            return [answer for part in several for answer in part]
        finite(embeddings)
        number = len(embeddings) if together else 1
        gallery, names_found = self.require(options, together=number)
        count = len(names_found.individuals)
        wanted = min(CANDIDATES, count) if options.k is None else options.k
        look = options.second_look
        fitted = self.identification(options.scoring, number, look, options.refinement)
        looked_at = 0 if look is None else look.individuals
        wide = min(count, max(wanted, looked_at, NEAREST if fitted.model else 0))
        refine = None if options.refinement is None else self._refiner(options.refinement, gallery)
        ranking = rank(embeddings, gallery, self.distance, wide, options.scoring, together, refine)
        if look is not None:
            groups = [(embeddings, photos)] if together else list(zip(embeddings[:, None], zip(photos), strict=True))
            ranking = look_again(ranking, self._looker(look, gallery), groups, fitted.fusion)
        chances = None if fitted.model is None else fitted.model.probabilities(ranking.decisive, count)
        told = [", ".join(names)] if together else names
        with self.storage.telling():
            found = answers(told, ranking, gallery, names_found, self.storage.model.calibration, chances)
        found = [replace(each, candidates=each.candidates[:wanted], photos=each.photos[:wanted]) for each in found]
        return found if options.false_known is None else promise(fitted, options.false_known, count).judged(found)

    def identification(
        self, scoring: Scoring, together: int, second_look: SecondLook | None, refinement: Refinement | None
    ) -> FittedIdentification:
        """The model of identification, fitted to the catalogue's own photos; see `Catalogue.identification`."""
        with self.storage.telling():
            gallery, names = self.gallery()
            if self._fitted is None or self._fitted[0] is not gallery:
                self._fitted = gallery, {}
            fitted = self._fitted[1]
            key = scoring, together, second_look and second_look.key, refinement
            if key not in fitted:
                trained = self.trained(names.individuals)
                part, left = sample(gallery, trained)
                looker = None if second_look is None else self._looker(second_look, part)
                found = fit_identification(part, self.distance, trained[left], scoring, together, looker, refinement)
                fitted[key] = found.sampled(len(left), ~trained)
            return fitted[key]

    def sighting(self, gallery: Gallery) -> Callable[[int], Sighting]:
        """Gives the photo of an index in a gallery."""

        @cache
        def photo(index: int) -> Sighting:
            with self.storage.telling():
                known = known_photos.facts(self.storage.connection, int(gallery.photos[index]))
            return Sighting(known.record, known.sha256)

        return photo

    def trained(self, individuals: Sequence[str]) -> NDArray[np.bool_]:
        """Which individuals have, or have had, the name of one that trained the model, `[I]`."""
        trained = set(json.loads(self.storage.fact("trained")))
        rows = self.storage.connection.execute(
            "SELECT i.name, r.before FROM renames r JOIN individuals i ON i.id = r.individual"
        )
        now = trained | {name for name, before in rows if before in trained}
        return np.array([name in now for name in individuals], np.bool_)

    def _refiner(self, refinement: Refinement, gallery: Gallery) -> Refiner:
        """Refines distances to the photos of a gallery; it keeps their neighbours for the next search."""
        if self._refined is None or self._refined[0] is not gallery or self._refined[1].refinement != refinement:
            self._refined = gallery, Refiner(gallery.embeddings, self.distance, refinement)
        return self._refined[1]

    def _looker(self, look: SecondLook, gallery: Gallery) -> Looker:
        """Takes second looks at photos of the catalogue."""
        return Looker(look, gallery, self.distance, self.sighting(gallery))

    def _found_by_store(self, gallery: Gallery, whole: bool) -> Gallery:
        """A gallery, all of the catalogue or a part of it, that is searched in the catalogue's store."""
        return replace(gallery, find=self.storage.searched.find(gallery, whole))
