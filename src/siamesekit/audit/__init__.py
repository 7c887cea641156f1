"""The audit of a data set: what is wrong with its photos, names and copies, before a network learns from them.

```
records ─ gathering ─ a PhotoFacts for each photo ─┬─ quality, copies, near_copies, bursts ─┐
          (decoded once, cached by content)        ├─ names                                 ├─ Audit of Findings
          embeddings, if a model is named ─────────┴─ suspects ─────────────────────────────┘
```

`finding` has the kinds of findings, with why each matters and what to do. `facts` measures a decoded photo, `gathering`
does so for all photos and `facts_cache` keeps the facts. The detectors are functions over the facts; `auditing` calls
them, and leaves out what the config accepts. `tables`, `page` and `quarantine_file` write what was found.
"""
