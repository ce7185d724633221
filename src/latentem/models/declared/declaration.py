"""What the user declares: densities, the latent, the parameters."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import ParameterError
from ...parameters import Domain
from ...sources import Grouping
from .outline import Outline, by_name, from_names
from .parameters import DeclaredParameters, Domains
from .space import Space

# Arguments of each density without the row of data; those marked may also take it, as their first.
ROLES = {
    "log_joint": ("x", "z", "theta"),
    "log_emission": ("x", "z", "theta"),
    "log_latent": ("z", "theta"),
    "log_initial": ("z", "theta"),
    "log_transition": ("previous", "z", "theta"),
}
E_STEPS = ("auto", "monte-carlo", "saem")
MAY_SEE_ROW = ("log_latent", "log_initial", "log_transition")


@dataclass(frozen=True, eq=False)
class Declaration:
    """A model as the user wrote it.

    Attributes
    ----------
    name : str
    densities : mapping from role (`log_joint`, `log_emission`, …) to function
    space : Space
    domains : tuple of (name, Domain)
    log_prior : function of θ, or None
    group : str or None
        Column of x that says which rows share one z.
    observed : latent, mapping or tuple of latents, or None
        What values x may take, where it is discrete: samples are then drawn by enumeration.
    sampler : function (theta, rng, n) → x, or None
    e_step : {"auto", "monte-carlo", "saem"}
    token : str
        Names the declaration in caches, in every process that it is sent to.
    """

    name: str
    densities: Mapping[str, Callable[..., Any]]
    space: Space
    domains: Domains
    log_prior: Callable[[Any], Any] | None = None
    group: str | None = None
    observed: Any = None
    sampler: Callable[..., Any] | None = None
    e_step: str = "auto"
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def is_chain(self) -> bool:
        return self.space.is_chain

    @property
    def per_group(self) -> bool:
        """Whether rows share a z, or a chain of them."""
        return "log_emission" in self.densities

    @property
    def first(self) -> str | None:
        """The density that belongs to a group as a whole."""
        return next((role for role in ("log_latent", "log_initial") if role in self.densities), None)

    @property
    def grouping(self) -> Grouping:
        """Which rows form a group, as far as the model says it."""
        return Grouping(self.group, whole=self.is_chain)

    def sees_row(self, role: str) -> bool:
        """Whether a density takes the row of data as its first argument."""
        return role not in MAY_SEE_ROW or n_arguments(self.densities[role]) > len(ROLES[role])

    def outline(self) -> Outline:
        """What a model file says of it: all but its functions."""
        return Outline.of(self)

    def __getstate__(self) -> dict[str, Any]:
        return by_name(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(from_names(state))


def latent_variable_model(
    log_joint: Callable[..., Any] | None = None,
    *,
    latent: Any,
    parameters: Mapping[str, Domain],
    log_latent: Callable[..., Any] | None = None,
    log_emission: Callable[..., Any] | None = None,
    log_initial: Callable[..., Any] | None = None,
    log_transition: Callable[..., Any] | None = None,
    log_prior: Callable[[Any], Any] | None = None,
    group: str | None = None,
    observed: Any = None,
    sampler: Callable[..., Any] | None = None,
    e_step: str = "auto",
    name: str | None = None,
) -> Any:
    """Declare a latent variable model by its joint density; a decorator, or a plain call.

    Parameters
    ----------
    log_joint : function (x, z, theta) → number
        log p(x, z; θ) of one observation, written with `jax.numpy` and `jax.scipy.stats`.  x is what one row of the
        data is: a number, a vector, or a dict or named tuple of those.
    latent : Categorical, Bernoulli, Integers, MarkovChain, Normal, Continuous, or a mapping or tuple of them
        What z is.
    parameters : mapping from name to domain
        Such as `{"means": em.Real(2), "scales": em.Positive(2)}`; `theta.means` is then an array of shape (2,).
    log_latent, log_emission : functions (z, theta) and (x, z, theta)
        Instead of `log_joint`, where rows share one z: log p(z; θ), once for each group, and log p(xₙ | z; θ) for each
        of its rows.  `log_latent` may take the group's first row before z.
    log_initial, log_transition, log_emission : functions (z, theta), (previous, z, theta) and (x, z, theta)
        Instead of `log_joint`, for a `MarkovChain`; the first two may take the row before z, e.g. for covariates.
    log_prior : function (theta) → number
        Log density of a prior of θ, up to a constant.
    group : str
        The column of x that says which rows form a group (or a sequence).  `groups` or `lengths` given to `em.fit` take
        its place.
    observed : Categorical, Bernoulli, Integers, or a mapping or tuple of them
        The values of x where they are few: `sample` then needs no sampler.
    sampler : function (theta, rng, n) → x
        Draws n observations, or for groups n rows of one group.
    e_step : {"auto", "monte-carlo", "saem"}
        How a continuous z is averaged over.  By itself: exactly where the log joint is quadratic in z, else by
        quadrature where z has few dimensions, else by Monte Carlo EM.  "monte-carlo" and "saem" (stochastic
        approximation EM, Delyon, Lavielle and Moulines 1999) ask for simulation.
    name : str
        For messages and files; the function's name unless given.

    Returns
    -------
    DeclaredModel, or a decorator that gives one; the decorated function is `log_joint`, or `log_emission` where other
    densities are given.

    Raises
    ------
    ParameterError
        The densities do not fit each other or the latent, or take other arguments than these.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from jax.scipy.stats import norm
    >>> import latentem as em
    >>> @em.latent_variable_model(
    ...     latent=em.Categorical(2),
    ...     parameters={"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)},
    ... )
    ... def two_normals(x, z, theta):
    ...     return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])
    """
    given = {
        "log_joint": log_joint,
        "log_latent": log_latent,
        "log_emission": log_emission,
        "log_initial": log_initial,
        "log_transition": log_transition,
    }
    densities = {role: function for role, function in given.items() if function is not None}
    options = {"log_prior": log_prior, "group": group, "observed": observed, "sampler": sampler, "e_step": e_step}

    def declare(function: Callable[..., Any] | None = None) -> Any:
        own = dict(densities)
        if function is not None:
            own["log_emission" if own else "log_joint"] = function
        return _declare(own, latent, parameters, name, options)

    return declare() if "log_joint" in densities or "log_emission" in densities else declare


def _declare(
    densities: dict[str, Callable[..., Any]],
    latent: Any,
    parameters: Mapping[str, Domain],
    name: str | None,
    options: dict[str, Any],
) -> Any:
    from .model import DeclaredModel

    space = Space.of(latent)
    _check_roles(set(densities), space.is_chain)
    for role, function in densities.items():
        _check_arguments(role, function)
    if options["log_prior"] is not None and n_arguments(options["log_prior"]) != 1:
        raise ParameterError(
            "log_prior takes theta alone: it is the prior of the parameters; the density of a z that rows share is "
            "log_latent"
        )
    if options["e_step"] not in E_STEPS:
        raise ParameterError(f"e_step must be one of {', '.join(E_STEPS)}; got {options['e_step']!r}")
    if options["e_step"] != "auto" and not space.dimension:
        raise ParameterError(
            f"e_step={options['e_step']!r} simulates a continuous z, but z is enumerated here, which is exact: leave "
            "e_step out"
        )
    main = densities.get("log_joint", densities.get("log_emission"))
    called = str(name or getattr(main, "__name__", "model"))
    return DeclaredModel.of(Declaration(called, densities, space, _checked_domains(parameters), **options))


def _check_roles(roles: set[str], is_chain: bool) -> None:
    wanted = [{"log_initial", "log_transition", "log_emission"}] if is_chain else [
        {"log_joint"},
        {"log_latent", "log_emission"},
    ]
    if roles not in wanted:
        what = "a MarkovChain" if is_chain else "this latent"
        ways = ", or ".join(" with ".join(sorted(way)) for way in wanted)
        if "log_joint" in roles and len(roles) > 1:
            ways += " (pass the density of a row as log_emission=)"
        raise ParameterError(f"{what} is declared by {ways}; got {', '.join(sorted(roles)) or 'nothing'}")


def _check_arguments(role: str, function: Callable[..., Any]) -> None:
    names, found = ROLES[role], n_arguments(function)
    allowed = (len(names), len(names) + 1) if role in MAY_SEE_ROW else (len(names),)
    if found not in allowed:
        also = f" or (x, {', '.join(names)})" if role in MAY_SEE_ROW else ""
        raise ParameterError(f"{role} must take ({', '.join(names)}){also}, but takes {found} arguments")


def n_arguments(function: Callable[..., Any]) -> int:
    """Positional arguments without a default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = inspect.signature(function).parameters.values()
    return sum(one.kind in kinds and one.default is inspect.Parameter.empty for one in taken)


def _checked_domains(parameters: Any) -> Domains:
    if not isinstance(parameters, Mapping) or not len(parameters):
        raise ParameterError(
            f"parameters must map names to domains, as {{'rate': em.Positive()}} does; got {parameters!r}"
        )
    for name, domain in parameters.items():
        if not isinstance(domain, Domain):
            hint = f"em.{domain.__name__}()" if isinstance(domain, type) else "em.Real(), em.Positive(3), em.Simplex(2)"
            raise ParameterError(f"the parameter {name!r} needs a domain, such as {hint}; got {domain!r}")
        if len(domain.shape) < domain.axes:
            raise ParameterError(
                f"the parameter {name!r} needs a shape of at least {domain.axes} axes, such as "
                f"em.{type(domain).__name__}(3); got {domain!r}"
            )
        if hasattr(DeclaredParameters, str(name)) or name in ("domains", "values"):
            raise ParameterError(f"no parameter can be called {name!r}: result.parameters.{name} means something else")
        if not (isinstance(name, str) and name.isidentifier()) or name.startswith("_"):
            raise ParameterError(f"a parameter's name must be an identifier that does not begin with _, got {name!r}")
    return tuple(parameters.items())
