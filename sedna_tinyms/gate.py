"""Whether a new model may replace the one in service: both models' answers to the same samples.

Only the samples count that one model gets right and the other does not. Let q be the chance that
such a sample falls to the new model. With a uniform prior, a lead of ``a`` samples to ``b`` makes
the posterior of q a Beta(a + 1, b + 1) distribution, and the new model is better with the
probability P(q > 1/2). The sign test of the same counts (McNemar's exact test, one-sided) says how
often chance alone would bring such a lead: if neither model were better, each sample would fall to
either side like a fair coin.

The rule has three outcomes. The new model passes if it is better with at least the probability
that is asked for; with the default, 0.5, that is if it does not get fewer samples right. It is
worse if it is better with at most the probability `WORSE_AT_MOST`. In between, the evidence does
not decide.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
percentages", Psychometrika 12 (1947). A. Gelman et al., "Bayesian Data Analysis", 3rd ed., 2.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sedna_tinyms.outcomes import CONTRADICTION, NOT_LEARNED, OUTCOMES

__all__ = [
    "DEPLOY_CONFIDENCE",
    "WORSE_AT_MOST",
    "PairedTest",
    "Verdict",
    "never_trained",
    "paired_test",
    "passes",
]

DEPLOY_CONFIDENCE = 0.5
"""Least probability of being better with which a new model passes."""

WORSE_AT_MOST = 0.025
"""At most this probable to be better, a new model counts as worse: five samples to none."""

Verdict = Literal["passed", "undecided", "worse"]


@dataclass(frozen=True)
class PairedTest:
    """The samples on which two models differ.

    Attributes
    ----------
    only_new, only_old : int
        How many samples the new model alone gets right, and the old one alone.
    """

    only_new: int
    only_old: int

    @property
    def probability(self) -> float:
        """How probable it is that the new model is the better one.

        Examples
        --------
        >>> PairedTest(0, 0).probability, PairedTest(3, 0).probability, PairedTest(0, 5).probability
        (0.5, 0.9375, 0.015625)
        """
        return _at_most(self.only_new, self.only_new + self.only_old + 1)

    @property
    def by_chance(self) -> float:
        """How often chance alone brings a lead at least as large to the side that leads.

        Examples
        --------
        >>> PairedTest(3, 0).by_chance, PairedTest(0, 5).by_chance, PairedTest(2, 2).by_chance
        (0.125, 0.03125, 0.6875)
        """
        return _at_most(min(self.only_new, self.only_old), self.only_new + self.only_old)

    def verdict(self, confidence: float = DEPLOY_CONFIDENCE) -> Verdict:
        """Say what the evidence says about the new model.

        Parameters
        ----------
        confidence : float
            Least probability of being better with which it passes.
        """
        if self.probability >= confidence:
            return "passed"
        return "worse" if self.probability <= WORSE_AT_MOST else "undecided"

    def samples_to_decide(
        self, evaluated: int, confidence: float = DEPLOY_CONFIDENCE
    ) -> int | None:
        """Estimate how many more samples would let the new model pass.

        Parameters
        ----------
        evaluated : int
            How many samples both models have answered.
        confidence : float
            As for `verdict`.

        Returns
        -------
        int or None
            None if the new model does not lead: at this rate, it would never pass.
        """
        if self.only_new <= self.only_old or self.verdict(confidence) == "passed":
            return None
        for times in range(2, 100):
            longer = PairedTest(self.only_new * times, self.only_old * times)
            if longer.verdict(confidence) == "passed":
                return evaluated * (times - 1)
        return None


def paired_test(new: Sequence[float], old: Sequence[float]) -> PairedTest | None:
    """Compare the outcomes of two models on the same samples.

    Parameters
    ----------
    new, old : sequence of float, of one length
        1.0 for each sample that the model gets right, 0.0 for each other.

    Returns
    -------
    PairedTest or None
        None if there are none, or the numbers are something else than outcomes.
    """
    pairs = list(zip(new, old, strict=True))
    if not pairs or any(number not in (0.0, 1.0) for pair in pairs for number in pair):
        return None
    return PairedTest(pairs.count((1.0, 0.0)), pairs.count((0.0, 1.0)))


def never_trained(metrics: Mapping[str, Any]) -> bool:
    """Say whether an evaluated model has learned none of the samples' classes.

    Parameters
    ----------
    metrics : mapping
        What its evaluation reported. Without the metric ``contradiction`` the answer is no.
    """
    contradiction = metrics.get(CONTRADICTION) or ()
    return set(contradiction) == {NOT_LEARNED}


def passes(
    new: Mapping[str, Any], old: Mapping[str, Any], confidence: float = DEPLOY_CONFIDENCE
) -> bool | None:
    """Say whether a new model passes the gate: what an evaluation reports as ``gate``.

    A model that was never trained is not compared with: whatever was trained passes.

    Parameters
    ----------
    new, old : mapping
        The metrics of both models on the same samples.
    confidence : float
        Least probability of being better with which the new model passes.

    Returns
    -------
    bool or None
        None if the metrics do not say which samples each model gets right.
    """
    if OUTCOMES not in new or OUTCOMES not in old or len(new[OUTCOMES]) != len(old[OUTCOMES]):
        return None
    test = paired_test(new[OUTCOMES], old[OUTCOMES])
    if test is None:
        return None
    if never_trained(old) and not never_trained(new):
        return True
    return test.verdict(confidence) == "passed"


def _at_most(successes: int, throws: int) -> float:
    """Return the probability of at most so many heads in throws of a fair coin."""
    fewer = min(successes, throws - successes - 1)  # the other tail is shorter to add up
    ways = term = 1 if fewer >= 0 else 0  # whole numbers, so that nothing is rounded
    for heads in range(1, fewer + 1):
        term = term * (throws - heads + 1) // heads
        ways += term
    if fewer != successes:
        ways = (1 << throws) - ways
    return ways / (1 << throws)
