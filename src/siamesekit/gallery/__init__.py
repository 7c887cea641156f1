"""The catalogue of known individuals: photos are enrolled, corrected and searched.

`catalogue` is the door. It keeps `database` (who is who, and a journal of every change) and `embedding_matrix` (one row
per photo), both for one `bound_model`. `enrolling` sorts and embeds new photos, `conditions` chooses among the known
ones, and `search` ranks them, with `refinement` by their neighbours if asked; `identification` gives probabilities, and
`catalogue_report` measures all of it by `holding_out` photos. `discovery` finds individuals among unlabelled photos:
`clustering` under `links`, `suggestions` for a person, and `counting` from the answers.
"""
