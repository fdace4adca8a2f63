"""How sure it is that a new model is better: McNemar's exact test on the evaluation's samples.

Both models answered the same samples, so only those count that one gets right and the other does
not. If neither model were better, each of these would fall to either side like a fair coin. The
test says how seldom a fair coin falls as unevenly as here, or more so (two-sided: to either side):
five samples to none still happen in one case of 16, six to none in one of 32.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
percentages", Psychometrika 12 (1947); its exact form takes the binomial distribution itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sedna_tinyms.outcomes import OF_TRAINING, OUTCOMES

__all__ = ["PairedTest", "paired_test", "without_outcomes"]


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
    def p_value(self) -> float:
        """How likely a difference at least this large is if neither model is better.

        Examples
        --------
        >>> PairedTest(5, 0).p_value, PairedTest(6, 0).p_value, PairedTest(3, 3).p_value
        (0.0625, 0.03125, 1.0)
        """
        differing = self.only_new + self.only_old
        ways = total = 1  # to choose none of them; whole numbers, so that nothing is rounded
        for chosen in range(1, min(self.only_new, self.only_old) + 1):
            ways = ways * (differing - chosen + 1) // chosen
            total += ways
        return min(1.0, 2 * total / (1 << differing))

    @property
    def confidence(self) -> float:
        """One minus the p-value: how sure it is that the models differ."""
        return 1.0 - self.p_value

    def is_better(self, confidence: float) -> bool:
        """Say whether the new model is better, with at least this confidence."""
        return self.only_new > self.only_old and self.confidence >= confidence

    def __str__(self) -> str:
        return (
            f"samples that only the new model gets right: {self.only_new}, only the old one: "
            f"{self.only_old}; {_percent(self.confidence)} sure that they differ"
        )

    def objection(self, confidence: float) -> str:
        """Return why the new model is not better with this confidence, to follow the counts."""
        if self.only_new <= self.only_old:
            return "the new one is not the better"
        return f"{confidence * 100:g} % are asked for"


def paired_test(
    new: Sequence[float], old: Sequence[float], samples: Sequence[str] = ()
) -> PairedTest | None:
    """Test the outcomes of two models on the same samples.

    Parameters
    ----------
    new, old : sequence of float, of one length
        1.0 for each sample that the model gets right, 0.0 for each other.
    samples : sequence of str
        The samples themselves. Where there is one for each outcome, a sample that stands there
        more than once counts once: an evaluation may hold an arrival twice, and a lucky answer
        is no surer for being counted again.

    Returns
    -------
    PairedTest or None
        None if there are none, or the numbers are something else than outcomes.
    """
    pairs = list(zip(new, old, strict=True))
    if not pairs or any(number not in (0.0, 1.0) for pair in pairs for number in pair):
        return None
    if len(samples) == len(pairs):
        pairs = list(dict(zip(samples, pairs, strict=True)).values())
    return PairedTest(pairs.count((1.0, 0.0)), pairs.count((0.0, 1.0)))


def without_outcomes(metrics: Mapping[str, object]) -> dict[str, object]:
    """Return metrics without those that hold a number a sample, which are too long to show."""
    long = (OUTCOMES, OF_TRAINING)
    return {name: value for name, value in metrics.items() if name not in long}


def _percent(share: float) -> str:
    """Return a share in percent, never rounded up to a certainty."""
    return "more than 99.9 %" if share > 0.999 else f"{share * 100:.1f} %"
