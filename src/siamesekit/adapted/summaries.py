"""What adapted classes do, in a sentence each, where their own docstrings do not begin with it."""

from __future__ import annotations

PML = {
    # losses of pairs
    "ContrastiveLoss": "Pulls positive pairs together and pushes negative pairs beyond a margin.",
    "CircleLoss": "Weights each pair's similarity by how far it is from its optimum, positives and negatives in one.",
    "DynamicSoftMarginLoss": "Soft triplet loss in place of a margin: the weight of a triplet is its place among those "
                             "of the batches before.",
    "FastAPLoss": "Raises average precision, made differentiable by counting distances in bins.",
    "GeneralizedLiftedStructureLoss": "Compares all positives of an anchor with all its negatives at once.",
    "HistogramLoss": "Makes the histograms of positive and of negative pairs' similarities overlap less.",
    "IntraPairVarianceLoss": "Makes the similarities of positive pairs alike, and those of negative pairs.",
    "LiftedStructureLoss": "Compares each positive pair with all negatives of both its photos.",
    "MarginLoss": "Contrastive loss on both sides of a boundary (`beta`), which can be learnt.",
    "MultiSimilarityLoss": "Weights each pair by its own similarity and by those of the anchor's other pairs.",
    "NCALoss": "Neighbourhood components analysis: raises the probability that a random near neighbour is right.",
    "NPairsLoss": "Compares one positive with one negative of each other individual, by dot products.",
    "NTXentLoss": "InfoNCE: each positive against all negatives of its anchor, by a softmax with a temperature.",
    "PNPLoss": "Lowers the number of negatives that rank before positives.",
    "RankedListLoss": "Keeps positives within a boundary and negatives beyond it, by a margin, weighted by rank.",
    "SignalToNoiseRatioContrastiveLoss": "Contrastive loss with the signal-to-noise distance.",
    "SmoothAPLoss": "Raises average precision, made differentiable by sigmoids in place of ranks.",
    "SupConLoss": "Supervised contrastive loss: all positives of an anchor against all other photos, by a softmax.",
    "ThresholdConsistentMarginLoss": "Pulls positive pairs whose cosine is below one limit, and pushes negative pairs "
                                     "whose cosine is above another.",
    "TupletMarginLoss": "Compares one positive with all negatives at once, by angles with a slack margin.",
    "VICRegLoss": "Pulls two views together while it keeps each dimension's variance and removes covariance.",
    # losses of triplets
    "AngularLoss": "Bounds the angle at the negative in each triplet.",
    "TripletMarginLoss": "The triplet loss: the negative is to be farther than the positive by a margin.",
    # losses with a learnt centre or weights for each individual
    "ArcFaceLoss": "Classifies individuals by angles to learnt centres, with a margin added to the right one's angle.",
    "CosFaceLoss": "Classifies individuals by cosines to learnt centres, with a margin taken from the right one's.",
    "LargeMarginSoftmaxLoss": "Classifies individuals, with the right one's angle multiplied by a whole number.",
    "ManifoldLoss": "Spreads similarity to learnt proxies over a graph of the batch's photos.",
    "NormalizedSoftmaxLoss": "Classifies individuals by cosines to learnt centres, with a temperature.",
    "P2SGradLoss": "Classifies individuals by squared errors of cosines to learnt centres, without a margin.",
    "ProxyAnchorLoss": "Each individual's learnt proxy as an anchor, against all photos of the batch.",
    "ProxyNCALoss": "Neighbourhood components analysis with a learnt proxy for each individual.",
    "SoftTripleLoss": "Classifies individuals by cosines to several learnt centres each.",
    "SphereFaceLoss": "Classifies individuals by angles to learnt centres, the right one's multiplied by a number.",
    "SubCenterArcFaceLoss": "ArcFace with several learnt centres for each individual, robust against wrong labels.",
    # losses round losses
    "CrossBatchMemory": "Another loss, with the embeddings of earlier batches as further positives and negatives.",
    "MultipleLosses": "Several losses, their values added with weights.",
    "SelfSupervisedLoss": "Another loss, with two views of each photo as its only positives.",
    # miners
    "AngularMiner": "Triplets whose angle at the negative is larger than a limit.",
    "BatchEasyHardMiner": "Of each anchor one positive and one negative: the easiest, the hardest or semi-hard ones.",
    "BatchHardMiner": "Of each anchor the farthest positive and the nearest negative.",
    "DistanceWeightedMiner": "Negatives drawn evenly over the distances, not over the pairs.",
    "HDCMiner": "The hardest share of positive pairs, and of negative pairs.",
    "MultiSimilarityMiner": "Negatives that are nearer than the farthest positive, positives farther than the nearest "
                            "negative, with a margin.",
    "PairMarginMiner": "Positive pairs beyond one limit, and negative pairs within another.",
    "TripletMarginMiner": "Triplets that break a margin: all of them, or the hard, semi-hard or easy ones.",
    "UniformHistogramMiner": "Pairs drawn evenly over bins of distance.",
    # distances
    "CosineSimilarity": "The cosine of the angle between two embeddings; a larger one is nearer.",
    "DotProductSimilarity": "The dot product of two embeddings; a larger one is nearer.",
    "LpDistance": "The p-norm of the difference of two embeddings, raised to a power.",
    "SNRDistance": "The variance of the difference of two embeddings over that of the anchor's.",
    # reducers
    "AvgNonZeroReducer": "The mean of the losses above 0.",
    "ClassWeightedReducer": "The mean of the losses, each weighted by its individual.",
    "DivisorReducer": "The sum of the losses over a divisor that the loss gives.",
    "MeanReducer": "The mean of the losses.",
    "PerAnchorReducer": "The losses of pairs gathered for each anchor first.",
    "SumReducer": "The sum of the losses.",
    "ThresholdReducer": "The mean of the losses between two limits.",
    # regularizers
    "CenterInvariantRegularizer": "Keeps the lengths of the learnt centres equal.",
    "LpRegularizer": "The p-norm of the embeddings or of the learnt centres, to keep them short.",
    "RegularFaceRegularizer": "Drives each learnt centre away from the nearest other one.",
    "SparseCentersRegularizer": "Draws the learnt centres of one individual together, so that those not needed merge.",
    "ZeroMeanRegularizer": "Keeps the mean of each embedding's numbers at 0.",
    # samplers
    "FixedSetOfTriplets": "A set of triplets that is drawn once and stays.",
    "HierarchicalSampler": "Batches of individuals of the same group (site or species), several photos of each.",
    "MPerClassSampler": "Batches with the same number of photos of each individual.",
}  # fmt: skip
"""Of pytorch-metric-learning, by class."""
TORCH = {
    "ASGD": "Stochastic gradient descent whose weights are also averaged.",
    "Adadelta": "Steps scaled by running means of squared gradients and of squared steps.",
    "Adafactor": "Adam with second moments kept by row and column, which takes far less memory.",
    "Adagrad": "Steps scaled by the sum of all squared gradients so far.",
    "Adam": "Steps by running means of gradients and of their squares.",
    "AdamW": "Adam with weight decay apart from the gradients.",
    "Adamax": "Adam with the largest gradient in place of the mean square.",
    "NAdam": "Adam with Nesterov's momentum.",
    "RAdam": "Adam whose first steps are made smaller, as by a warm-up.",
    "RMSprop": "Steps scaled by a running mean of squared gradients.",
    "Rprop": "Steps by the signs of the gradients alone, for whole data sets in one batch.",
    "SGD": "Stochastic gradient descent, with momentum where that is set.",
}
"""Of PyTorch, by class."""


def introduction(name: str, package: str, summaries: dict[str, str]) -> str:
    """The first line of an adapted class's description: whose it is, and what it does where that is known here."""
    return f"`{name}` of {package}. {summaries.get(name, '')}".rstrip()
