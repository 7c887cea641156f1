"""Figures of a model: rankings, retrieval metrics with intervals, thresholds and similarities.

`ranking` ranks triplets, `retrieval` ranks all photos for each query (`hit_ranks` those of individuals with very many
photos), and `intervals` adds the bootstrap over individuals; `figures` gathers a network's figures from these three.
`pairs` scores pairs of photos; from them `calibration` fits similarity and threshold, `cross_fit` and `permutation`
judge whether the threshold is better than guessing, `reliability` judges the similarity, `roc` computes the error rates
of all thresholds, and `operating_point` decides whether the model ships a threshold. `mistakes` lists confused
individuals and hubs, `gallery_size` shows how the figures depend on the number of individuals, and `embedding_map`
places photos on a plane. `pixel_baseline` is the baseline of plain pixels, and `worth` counts the figures that training
improved. `re_ranking` orders a gallery by the neighbours that photos share (`neighbour_lists`), and `query_expansion`
searches by means of photos.
"""
