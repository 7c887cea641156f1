"""One-sentence summaries of adapted classes whose own docstrings do not begin with one."""

from __future__ import annotations

PML = {
    # losses of pairs
    "ContrastiveLoss": "Pulls positive pairs together and pushes negative pairs beyond a margin.",
    "CircleLoss": "Weights each pair's similarity by its distance from its optimum, for positives and negatives alike.",
    "DynamicSoftMarginLoss": "Triplet loss without a margin: a triplet's weight is its rank among the triplets of "
    "earlier batches.",
    "FastAPLoss": "Raises average precision, made differentiable by counting distances in bins.",
    "GeneralizedLiftedStructureLoss": "Compares all positives of an anchor with all its negatives at once.",
    "HistogramLoss": "Reduces the overlap between the similarity histograms of positive and negative pairs.",
    "IntraPairVarianceLoss": "Reduces the variance of similarities among positive pairs and among negative pairs.",
    "LiftedStructureLoss": "Compares each positive pair with all negatives of both its photos.",
    "MarginLoss": "Contrastive loss on both sides of a boundary (`beta`), which can be learnt.",
    "MultiSimilarityLoss": "Weights each pair by its own similarity and by those of the anchor's other pairs.",
    "NCALoss": "Neighbourhood components analysis: raises the probability that a random neighbour is a positive.",
    "NPairsLoss": "Compares a positive with one negative of each other individual, by dot products.",
    "NTXentLoss": "InfoNCE: a softmax with a temperature over each positive and all negatives of its anchor.",
    "PNPLoss": "Lowers the number of negatives that rank before positives.",
    "RankedListLoss": "Keeps positives within a boundary and negatives a margin beyond it, weighted by rank.",
    "SignalToNoiseRatioContrastiveLoss": "Contrastive loss with the signal-to-noise distance.",
    "SmoothAPLoss": "Raises average precision, made differentiable by sigmoids in place of ranks.",
    "SupConLoss": "Supervised contrastive loss: a softmax of all positives of an anchor over all other photos.",
    "ThresholdConsistentMarginLoss": "Pulls positive pairs whose cosine is below one limit, and pushes negative pairs "
    "whose cosine is above another.",
    "TupletMarginLoss": "Compares each positive with all negatives of its anchor, by angles with a slack margin.",
    "VICRegLoss": "Pulls two views together, keeps the variance of each dimension and removes covariance.",
    # losses of triplets
    "AngularLoss": "Bounds the angle at the negative in each triplet.",
    "TripletMarginLoss": "The triplet loss: the negative must be farther than the positive by a margin.",
    # losses with a learnt centre or weights for each individual
    "ArcFaceLoss": "Classifies individuals by angles to learnt centres, with a margin added to the true one's angle.",
    "CosFaceLoss": "Classifies individuals by cosines to learnt centres, with a margin subtracted from the true one's.",
    "LargeMarginSoftmaxLoss": "Classifies individuals, with the true one's angle multiplied by a whole number.",
    "ManifoldLoss": "Propagates similarity to learnt proxies over a graph of the batch's photos.",
    "NormalizedSoftmaxLoss": "Classifies individuals by cosines to learnt centres, with a temperature.",
    "P2SGradLoss": "Classifies individuals by squared errors of cosines to learnt centres, without a margin.",
    "ProxyAnchorLoss": "Compares each individual's learnt proxy, as an anchor, with all photos of the batch.",
    "ProxyNCALoss": "Neighbourhood components analysis with a learnt proxy for each individual.",
    "SoftTripleLoss": "Classifies individuals by cosines to several learnt centres each.",
    "SphereFaceLoss": "Classifies individuals by angles to learnt centres, with the true one's multiplied by a number.",
    "SubCenterArcFaceLoss": "ArcFace with several learnt centres for each individual, robust against wrong labels.",
    # losses that wrap losses
    "CrossBatchMemory": "Adds the embeddings of earlier batches to another loss as further positives and negatives.",
    "MultipleLosses": "Weighted sum of several losses.",
    "SelfSupervisedLoss": "Another loss whose only positives are two views of each photo.",
    # miners
    "AngularMiner": "Triplets whose angle at the negative is larger than a limit.",
    "BatchEasyHardMiner": "One positive and one negative for each anchor: the easiest, the hardest or semi-hard ones.",
    "BatchHardMiner": "The farthest positive and the nearest negative of each anchor.",
    "DistanceWeightedMiner": "Negatives drawn uniformly over distances, not over pairs.",
    "HDCMiner": "The hardest share of positive pairs, and of negative pairs.",
    "MultiSimilarityMiner": "Negatives that are nearer than the farthest positive, positives farther than the nearest "
    "negative, with a margin.",
    "PairMarginMiner": "Positive pairs beyond one limit, and negative pairs within another.",
    "TripletMarginMiner": "Triplets that violate a margin: all of them, or the hard, semi-hard or easy ones.",
    "UniformHistogramMiner": "Pairs drawn uniformly over bins of distance.",
    # distances
    "CosineSimilarity": "The cosine of the angle between two embeddings; a larger one is nearer.",
    "DotProductSimilarity": "The dot product of two embeddings; a larger one is nearer.",
    "LpDistance": "The p-norm of the difference of two embeddings, raised to a power.",
    "SNRDistance": "The variance of the difference of two embeddings, divided by the anchor's variance.",
    # reducers
    "AvgNonZeroReducer": "The mean of the losses above 0.",
    "ClassWeightedReducer": "The mean of the losses, each weighted by its individual.",
    "DivisorReducer": "The sum of the losses, divided by a number that the loss supplies.",
    "MeanReducer": "The mean of the losses.",
    "PerAnchorReducer": "Averages the losses of each anchor's pairs before reducing them.",
    "SumReducer": "The sum of the losses.",
    "ThresholdReducer": "The mean of the losses between two limits.",
    # regularizers
    "CenterInvariantRegularizer": "Keeps the lengths of the learnt centres equal.",
    "LpRegularizer": "The p-norm of the embeddings or of the learnt centres, to keep them short.",
    "RegularFaceRegularizer": "Pushes each learnt centre away from the nearest other one.",
    "SparseCentersRegularizer": "Pulls the learnt centres of each individual together, so that redundant ones merge.",
    "ZeroMeanRegularizer": "Keeps the mean of each embedding's numbers at 0.",
    # samplers
    "FixedSetOfTriplets": "A fixed set of triplets, drawn once.",
    "HierarchicalSampler": "Batches of individuals of the same group (site or species), with several photos of each.",
    "MPerClassSampler": "Batches with the same number of photos of each individual.",
}
"""Summaries of pytorch-metric-learning's classes."""
TORCH = {
    "ASGD": "Stochastic gradient descent that also averages the weights.",
    "Adadelta": "Steps scaled by running means of squared gradients and of squared steps.",
    "Adafactor": "Adam that stores second moments by row and column, which takes far less memory.",
    "Adagrad": "Steps scaled by the sum of all squared gradients so far.",
    "Adam": "Steps by running means of gradients and of their squares.",
    "AdamW": "Adam with weight decay decoupled from the gradients.",
    "Adamax": "Adam with the maximum gradient in place of the mean square.",
    "NAdam": "Adam with Nesterov's momentum.",
    "RAdam": "Adam whose first steps are smaller, as in a warm-up.",
    "RMSprop": "Steps scaled by a running mean of squared gradients.",
    "Rprop": "Steps by the signs of the gradients only, for training on the whole data set as one batch.",
    "SGD": "Stochastic gradient descent, with optional momentum.",
}
"""Summaries of PyTorch's classes."""


def introduction(name: str, package: str, summaries: dict[str, str]) -> str:
    """The first line of an adapted class's description: its name, its package and, if known, its summary."""
    return f"`{name}` of {package}. {summaries.get(name, '')}".rstrip()
