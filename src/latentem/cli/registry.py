"""The models that `latentem fit` knows: mixtures and hidden Markov models that options alone make, by their names."""

from __future__ import annotations

import re
from inspect import signature
from typing import Any

import click

CATEGORICAL = ("latent-class-analysis",)
OPTIONS = {"covariance_type": "covariance", "init_params": "init", "random_state": "seed"}
ABSTRACT = ("FamilyMixture", "HiddenMarkovModel", "MixtureModel")


def models() -> dict[str, Any]:
    """Estimator classes by name: GaussianMixture is gaussian-mixture."""
    from .. import estimators

    classes = [getattr(estimators, name) for name in estimators.__all__ if name not in ABSTRACT]
    return {kebab(cls.__name__): cls for cls in classes if hasattr(cls, "predict")}


def kebab(name: str) -> str:
    """StudentTMixture → student-t-mixture, GMMHMM → gmm-hmm."""
    if name.endswith("HMM"):
        return f"{kebab(name.removesuffix('HMM'))}-hmm"
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def is_sequential(model: str) -> bool:
    """Whether the rows of the model's data are steps of sequences."""
    return model.endswith("-hmm")


class ModelName(click.ParamType):
    """The name of a model; the estimators are imported when one is asked for."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = models()
        if value not in known:
            self.fail(f"there is no model {value!r}; there are {', '.join(known)}", param, ctx)
        return str(value)


def build(model: str, options: dict[str, Any]) -> Any:
    """The estimator with these options; an option that the model does not have is an error, not ignored."""
    cls = models()[model]
    known = signature(cls.__init__).parameters
    unknown = [name for name in options if name not in known]
    if unknown:
        having = [name for name, other in models().items() if unknown[0] in signature(other.__init__).parameters]
        option = OPTIONS.get(unknown[0], unknown[0].replace("_", "-"))
        raise click.UsageError(f"{model} has no --{option}; models that have it: {', '.join(having) or 'none'}")
    return cls(**options)
