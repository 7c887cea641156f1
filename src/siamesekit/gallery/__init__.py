"""The catalogue of known individuals: photos are enrolled, corrected and searched.

`catalogue` is the door. Its `storage` keeps `database` (who is who, and a journal of every change) and one matrix of
embeddings (a row per photo), both for one `bound_model`; `catalogue_store` keeps the store in step that searches them.
Changes are functions on the storage: `adding` sorts new photos by `enrolling`, `deciding` applies decisions, and
`corrections` are for errors. `catalogue_search` searches: `conditions` chooses among the known photos, and `search`
ranks them, with `refinement` by their neighbours if asked; `identification` gives probabilities, and
`catalogue_report` measures all of it by `holding_out` photos. `discovery` finds individuals among unlabelled photos:
`clustering` under `links`, `suggestions` for a person, and `counting` from the answers. A `second_look` counts
`shared_points`, which the page of a match and the picture of `matched_photos` show.
"""
