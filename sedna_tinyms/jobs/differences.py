"""Where a job is decided otherwise here than by Sedna's controllers, on purpose.

It covers reading the YAML, counting and splitting samples, triggers and the deploy decision: what
is not in this table is decided alike there, given the same files and the same metrics.
``docs/job-yaml.md`` repeats it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DIFFERENCES", "Difference"]


class Difference(NamedTuple):
    """One situation, what Sedna does with it, and what happens here."""

    situation: str
    sedna: str
    here: str


DIFFERENCES: dict[str, Difference] = {
    # The deploy decision and the triggers
    "list without index": Difference(
        "A trigger names a list metric without an index: `accuracy_delta > 0`",
        "compares 0.0, so `>` never deploys and `>=` deploys a worse model",
        "never met, with the index to write as the reason; a warning when the YAML is loaded",
    ),
    "different metrics": Difference(
        "Only one of the two results has a metric",
        "the LocalController process panics",
        "not deployed, and the metric is named",
    ),
    "fewer old numbers": Difference(
        "A metric has fewer numbers for the old model than for the new one",
        "the LocalController process panics",
        "not deployed, and the metric is named",
    ),
    "more old numbers": Difference(
        "A metric has more numbers for the old model than for the new one",
        "compares the first ones, whatever classes they belong to",
        "not deployed, and the metric is named",
    ),
    "broken index": Difference(
        "A trigger's metric has a negative or unbalanced index: `accuracy[-1]`",
        "the LocalController process panics",
        "refused when the YAML is loaded",
    ),
    "lost report": Difference(
        "The evaluation ends without a report",
        "compares the metrics of the round before, which can deploy a model never evaluated",
        "not deployed",
    ),
    "fewer right answers": Difference(
        "The trigger is met, but the new model gets fewer samples right",
        "deployed",
        "not deployed if the evaluation reports `correct` (1 or 0 for each sample): a worse model "
        "would replace a good one, and the next round starts from it. The annotation "
        '`sedna-tinyms.io/deploy-confidence` asks for more, or with `"0"` for nothing',
    ),
    "wrong labels": Difference(
        "The labels of an arrival are wrong as a whole",
        "trained on",
        "kept out of training and evaluation where the evaluation tells probabilities "
        "(`contradiction`): the model in service clearly contradicts more than half of them",
    ),
    "canary": Difference(
        "The trained model cannot be opened, hangs, answers with NaN, or takes more memory or time "
        "than it may",
        "put in service, where the inference worker fails",
        "not deployed: a model that describes itself first answers pictures of the evaluation in a "
        "process of its own",
    ),
    # Counting and splitting
    "arrivals": Difference(
        "Lines are appended to the dataset a few at a time",
        "looked for every 60 seconds, so what came in between is split as one arrival",
        "what came in until the file was left alone for a second is one arrival (after a minute at "
        "the latest), so a batch may be appended line by line",
    ),
    "split": Difference(
        "Which samples are for evaluation",
        "of every arrival of n samples all but the first `int(trainProb * n)`: of a single one, "
        "always that one; for the next five evaluations",
        "of each class the share `1 - trainProb` of all samples of the job so far, for ever; the "
        "first sample of a class is trained on",
    ),
    "evidence": Difference(
        "What an evaluation takes",
        "the evaluation samples of the last five arrivals, those of an arrival twice if another "
        "follows before it",
        "all held-out samples of the job so far, up to 2,000, evenly from all arrivals",
    ),
    "corrected label": Difference(
        "The same picture is appended again with another label",
        "both labels count",
        "the new label replaces the earlier one",
    ),
    "blank lines": Difference(
        "Blank lines in the dataset file",
        "counted as samples and given to the workers",
        "skipped",
    ),
    "unfinished line": Difference(
        "The last line of the dataset has no newline yet",
        "counted at once, though it may still be being written",
        "counted when its newline arrives, or when the file has been left alone for 5 seconds",
    ),
    "edited dataset": Difference(
        "Lines that were counted are changed, removed, or preceded by others",
        "not noticed: later lines are split at the wrong places, or never seen",
        "nothing more is counted until they are back, and the file is named",
    ),
    "long line": Difference(
        "A line of 64 KiB or more",
        "counting ends there, silently",
        "nothing more is counted until it is mended, and the line is named",
    ),
    "byte order mark": Difference(
        "The dataset file begins with a byte order mark",
        "becomes part of the first sample",
        "cut off",
    ),
    # Reading the YAML
    "csv dataset": Difference(
        "A Dataset whose format is not exactly `txt`",
        "accepted, and training never starts",
        "refused when the YAML is loaded",
    ),
    "never met": Difference(
        "An unknown operator, or a train trigger on anything but `num_of_samples`",
        "accepted, and never met",
        "refused when the YAML is loaded",
    ),
    "train share": Difference(
        "`trainProb` of 0 or less, or 1 or more",
        "accepted: nothing is left to train on, or to evaluate with",
        "refused when the YAML is loaded",
    ),
    "equal mounts": Difference(
        "The dataset and a model of the same worker lie in one directory",
        "the worker's pod is rejected, because two volumes have the same mount path",
        "refused when the YAML is loaded",
    ),
    "remote urls": Difference(
        "A url with the scheme s3, http or https",
        "downloaded by the storage initializer, or left to the worker",
        "refused when the YAML is loaded: one machine takes host paths only",
    ),
    # Running a job
    "base model": Difference(
        "Which model a round after the first starts from",
        "the last trained one, deployed or not",
        "the last deployed one; `--base last-trained` gives Sedna's rule",
    ),
    "undeployed round": Difference(
        "The samples of a round whose model is not deployed",
        "lost, unless the next round starts from that model",
        "learned in the next round; a sample is done with when a model in service has learned it",
    ),
    "failed round": Difference(
        "The samples of a failed round",
        "lost",
        "learned in the next round, which begins when something new arrives or the job is started "
        "again; where the same worker fails with them a second time, they are set aside; other "
        "failures, such as a full disk's or the deployment's, do not count",
    ),
    "crashed worker": Difference(
        "A train or eval script crashes, and its template has no restartPolicy",
        "restarted in place, for ever",
        "the round fails at once, with the script's last lines",
    ),
    "hanging worker": Difference(
        "A worker never ends",
        "waited for, for ever",
        "ended after `--worker-limit`, an hour by default, and the round fails",
    ),
    "wrong format": Difference(
        "No trained model has the format that a Model of the job has",
        "the LocalController process panics",
        "the round fails, and both formats are named",
    ),
    "incomparable results": Difference(
        "The evaluation reports metrics that are no lists, or not two results",
        "the round completes without a word",
        "the round fails, and the metric is named",
    ),
    "failed hot update": Difference(
        "The inference worker cannot load the new model",
        "the deploy model, the model to compare with and the config stay overwritten",
        "the models are put back and the config is withdrawn, so a restart serves what is in "
        "service",
    ),
    "silent hot update": Difference(
        "The inference worker does not answer a hot update",
        "stays in Deploy Running",
        "after `--deploy-limit` the round fails, and the worker starts anew with the previous"
        " model",
    ),
    "model in place": Difference(
        "A model is copied over the deploy model, or into the hot-update directory",
        "written in place without truncation, and on a DaemonSet into the controller's own "
        "file system",
        "replaced in one rename, on the host; a hot update has a file of its own for each version",
    ),
    "dying worker": Difference(
        "The inference worker dies or hangs again and again with a model that was just deployed",
        "started again with it, for ever",
        "after the third time the version with which it was well is put back, and the other's "
        "weights are not deployed again",
    ),
    "update time": Difference(
        "`model_update_time`, which the worker library makes a file name of",
        "Go's textual time, with spaces and a plus sign",
        "`20261120T100717.828253Z`",
    ),
    "restart": Difference(
        "The controller, or the runner, is started again",
        "counts all lines anew and overwrites train/1",
        "goes on from its journal, and a round that was cut short from the step that it was at",
    ),
}
