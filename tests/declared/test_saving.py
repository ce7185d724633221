"""Declared models in files hold no code, and predict the same bits when the model is given again."""

import importlib.util
import json
import pickle
import zipfile
from dataclasses import fields, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

import latentem as em
from latentem.em import run
from latentem.errors import ModelFileError, ModelSourceWarning
from latentem.execution import Serial
from latentem.io import Checkpoint
from latentem.models.declared import prepare
from latentem.models.declared.starts import initial_parameters
from latentem.models.declared.using.predicting import log_likelihood, posterior
from latentem.sources import Grouping, as_source

DOMAINS = {"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)}
START = {"weights": [0.5, 0.5], "means": [-1.0, 3.0], "scales": 1.0}


@em.latent_variable_model(latent=em.Categorical(2), parameters=DOMAINS)
def two_normals(x, z, theta):
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])


@em.latent_variable_model(
    latent=em.Normal(),
    parameters={"slope": em.Real(), "between": em.Positive(), "within": em.Positive()},
    log_latent=lambda z, theta: norm.logpdf(z, 0.0, theta.between),
    group="subject",
)
def intercepts(x, z, theta):
    return norm.logpdf(x["y"], theta.slope * x["age"] + z, theta.within)


@em.latent_variable_model(
    latent=em.MarkovChain(2),
    parameters={"initial": em.Simplex(2), "transition": em.Simplex(2, 2), "means": em.Real(2)},
    log_initial=lambda z, theta: jnp.log(theta.initial[z]),
    log_transition=lambda before, z, theta: jnp.log(theta.transition[before, z]),
)
def chain(x, z, theta):
    return norm.logpdf(x, theta.means[z])


@em.latent_variable_model(latent=em.Normal(), parameters={"a": em.Real(), "b": em.Real()})
def logit(x, z, theta):
    at = theta.a + theta.b * x[0] + z
    return norm.logpdf(z) - jnp.logaddexp(0.0, jnp.where(x[1] > 0.5, -at, at))


def cases():
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(12), 4)
    y = rng.normal(size=12)[subject] + 0.3 * rng.normal(size=48)
    return {
        "mixture": (two_normals, np.concatenate([rng.normal(size=60), 4 + rng.normal(size=60)]), START),
        "groups": (intercepts, {"y": y, "age": rng.random(48), "subject": subject}, {"slope": 0.0, "between": 1.0}),
        "chain": (chain, rng.normal(size=80) + 4 * (np.arange(80) // 10 % 2), {"means": [0.0, 3.0]}),
        "quadrature": (logit, np.column_stack([rng.normal(size=40), rng.integers(2, size=40)]), {"a": 0.0, "b": 0.0}),
    }


CASES = cases()


@pytest.fixture(scope="module")
def fitted():
    """A result by the name of its case, each fitted once."""
    known = {}

    def fit(name):
        if name not in known:
            model, x, start = CASES[name]
            known[name] = em.fit(model, x, parameters=start, random_state=0, max_iter=8)
        return known[name]

    return fit


def bits(result, x):
    told = posterior(result.model, result.parameters, x)
    arrays = [told.probabilities, told.mean, told.covariance, log_likelihood(result.model, result.parameters, x)]
    return [result.parameters.flatten().tobytes(), *(a.tobytes() for a in arrays if a is not None)]


# -- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_result_predicts_the_same_bits(tmp_path, fitted, name):
    result, (model, x, _) = fitted(name), CASES[name]
    em.save(result, tmp_path / "m")
    loaded = em.load(tmp_path / "m", model=model)
    assert bits(loaded, x) == bits(result, x)
    assert (loaded.status, loaded.history, loaded.findings) == (result.status, result.history, result.findings)
    assert loaded.model.estep == result.model.estep and loaded.model.layout == result.model.layout
    assert type(loaded.model.basis) is type(result.model.basis)
    assert loaded.model.declaration is model.declaration


def test_a_loaded_result_knows_its_sufficient_statistics(tmp_path, fitted):
    result = fitted("mixture")
    em.save(result, tmp_path / "m")
    loaded = em.load(tmp_path / "m", model=two_normals)
    for item in fields(result.model.basis):
        np.testing.assert_equal(getattr(loaded.model.basis, item.name), getattr(result.model.basis, item.name))
    statistics = (result.expectation.statistics, loaded.expectation.statistics)
    q = [kept.model.q_function(kept.parameters, s) for kept, s in zip((result, loaded), statistics, strict=True)]
    assert q[0] == q[1]


def test_models_and_parameters_can_be_saved_alone(tmp_path, fitted):
    result = fitted("mixture")
    em.save(two_normals, tmp_path / "m")
    assert em.load(tmp_path / "m", model=two_normals) == two_normals
    em.save(result.model, tmp_path / "m")
    assert em.load(tmp_path / "m", model=result.model).layout == result.model.layout
    em.save(result.parameters, tmp_path / "p")
    loaded = em.load(tmp_path / "p")
    assert loaded.domains == result.parameters.domains
    assert loaded.flatten().tobytes() == result.parameters.flatten().tobytes()


def test_a_file_holds_no_code(tmp_path, fitted):
    em.save(fitted("groups"), tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as archive:
        text = archive.read("model.json").decode()
        assert {name for name in archive.namelist() if not name.endswith(".npy")} == {"model.json"}
    assert "logpdf" not in text and "lambda" not in text and "intercepts" in text
    assert em.load(tmp_path / "m", model=intercepts).parameters.by_name.keys() == {"slope", "between", "within"}


def test_without_its_model_a_file_says_which_one_it_needs(tmp_path, fitted):
    em.save(fitted("mixture"), tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"of the declared model 'two_normals'.*load\(…, model=two_normals\)"):
        em.load(tmp_path / "m")
    with pytest.raises(ModelFileError, match="must be the declared model 'two_normals', got a function"):
        em.load(tmp_path / "m", model=cases)


def test_a_model_for_a_file_that_needs_none_is_refused(tmp_path, fitted):
    em.save(fitted("mixture").parameters, tmp_path / "m")
    with pytest.raises(ModelFileError, match="load it without model="):
        em.load(tmp_path / "m", model=two_normals)


def declared(function, name="two_normals", latent=None, **parameters):
    domains = {key: value for key, value in {**DOMAINS, **parameters}.items() if value is not None}
    return em.latent_variable_model(
        function, latent=em.Categorical(2) if latent is None else latent, parameters=domains, name=name
    )


OWN = two_normals.declaration.densities["log_joint"]
OTHERS = {
    "its name is 'two_normals', not 'others'": declared(OWN, name="others"),
    r"its latent is Categorical\(2\), not Bernoulli\(\)": declared(OWN, latent=em.Bernoulli()),
    r"the parameter 'scales' is Positive\(2\), not Real\(2\)": declared(OWN, scales=em.Real(2)),
    r"the parameter 'scales' is Positive\(2\), not Positive\(2\).tied\(\)": declared(OWN, scales=em.Positive(2).tied()),
    r"the parameter 'more' is absent, not Real\(\)": declared(OWN, more=em.Real()),
    r"the parameter 'means' is Real\(2\), not absent": declared(OWN, means=None),
    "it is declared by log_joint, not by log_emission, log_latent": em.latent_variable_model(
        log_emission=OWN, log_latent=lambda z, t: 0.0, latent=em.Categorical(2), parameters=DOMAINS, name="two_normals"
    ),
    "its parameters come in the order weights, means, scales": em.latent_variable_model(
        OWN, latent=em.Categorical(2), parameters=dict(reversed(DOMAINS.items())), name="two_normals"
    ),
}


@pytest.mark.parametrize("difference", OTHERS)
def test_another_model_is_refused_with_the_difference(tmp_path, fitted, difference):
    em.save(fitted("mixture"), tmp_path / "m")
    with pytest.raises(ModelFileError, match="it is of another model than the one given: .*" + difference):
        em.load(tmp_path / "m", model=OTHERS[difference])


MODULE = """
import jax.numpy as jnp
import latentem as em
from jax.scipy.stats import norm


@em.latent_variable_model(
    latent=em.Categorical(2), parameters={"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)}
)
def two_normals(x, z, theta):
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], SCALES)
"""


def module_of(tmp_path, name, scales):
    path = tmp_path / f"{name}.py"
    path.write_text(MODULE.replace("SCALES", scales))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_changed_source_is_told_and_the_same_source_elsewhere_is_not(tmp_path):
    first = module_of(tmp_path, "first_place", "theta.scales[z]").two_normals
    same = module_of(tmp_path, "second_place", "theta.scales[z]").two_normals
    other = module_of(tmp_path, "third_place", "theta.scales[1 - z]").two_normals
    em.save(first, tmp_path / "m")
    em.load(tmp_path / "m", model=same)
    with pytest.warns(ModelSourceWarning, match="source of log_joint of the model 'two_normals' is no longer"):
        loaded = em.load(tmp_path / "m", model=other)
    assert loaded.declaration is other.declaration


def test_functions_without_a_source_are_not_compared(tmp_path):
    names = {}
    exec("def density(x, z, theta):\n    return theta.means[z] - x**2", names)
    em.save(declared(names["density"]), tmp_path / "m")
    em.load(tmp_path / "m", model=declared(OWN))


class Visit(NamedTuple):
    y: np.ndarray
    age: np.ndarray

    @property
    def older(self):
        return self.age + 1.0


@em.latent_variable_model(latent=em.Bernoulli(), parameters={"slopes": em.Real(2)})
def of_visits(visit, z, theta):
    return jnp.log(0.5) + norm.logpdf(visit.y, theta.slopes[z] * visit.age)


def test_rows_that_were_named_tuples_come_as_such_again(tmp_path, rng):
    data = Visit(rng.normal(size=30), rng.random(30))
    result = em.fit(of_visits, data, parameters={"slopes": [-1.0, 1.0]}, max_iter=3)
    em.save(result, tmp_path / "m")
    loaded = em.load(tmp_path / "m", model=of_visits)
    record = loaded.model.layout.record
    assert (record.__name__, record._fields) == ("Visit", ("y", "age"))
    assert record is em.load(tmp_path / "m", model=of_visits).model.layout.record
    assert bits(loaded, data) == bits(result, data) == bits(loaded, data._asdict())
    own = em.load(tmp_path / "m", model=of_visits, types=(Visit,))
    assert own.model.layout == result.model.layout


EVERY_DOMAIN = {
    "real": em.Real(),
    "positive": em.Positive(2, 3),
    "share": em.UnitInterval(2),
    "between": em.Interval(-1.0, np.inf, 3),
    "simplex": em.Simplex(2, 3),
    "ordered": em.Ordered(3),
    "covariance": em.PositiveDefinite(2),
    "correlation": em.Correlation(3),
    "triangle": em.LowerTriangular(3),
    "tied": em.Positive(2, 3).tied(axis=0),
    "fixed": em.Real(3).fixed([1.0, np.nan, np.nan]),
    "both": em.Positive(2).tied().fixed(2.0),
}


def test_parameters_in_every_domain_come_back(tmp_path, rng):
    model = em.latent_variable_model(lambda x, z, theta: x, latent=em.Bernoulli(), parameters=EVERY_DOMAIN)
    values = {k: d.unflatten(rng.normal(size=d.n_free(d.shape)), d.shape) for k, d in EVERY_DOMAIN.items()}
    params = model.parameters(**values)
    em.save(params, tmp_path / "p")
    loaded = em.load(tmp_path / "p")
    assert loaded.domains == params.domains and loaded.n_free == params.n_free
    for ours, theirs in zip(loaded.values, params.values, strict=True):
        assert (ours.tobytes(), ours.shape) == (theirs.tobytes(), theirs.shape)


# -- files that were altered -------------------------------------------------------------------


def test_one_changed_byte_is_refused_or_changes_nothing(tmp_path, fitted):
    result, (model, x, _) = fitted("mixture"), CASES["mixture"]
    em.save(result, tmp_path / "m")
    content, rng, refused = (tmp_path / "m").read_bytes(), np.random.default_rng(1), 0
    positions = rng.choice(len(content), 300, replace=False)
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= int(rng.integers(1, 256))
        (tmp_path / "m").write_bytes(changed)
        try:
            loaded = em.load(tmp_path / "m", model=model)
        except ModelFileError:
            refused += 1
        else:
            assert bits(loaded, x) == bits(result, x)
    assert refused > 0.8 * len(positions)


def with_description(path, change):
    """The file with its JSON changed; `change` gets the whole text."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    text = entries["model.json"].decode()
    assert change(text) != text
    entries["model.json"] = change(text).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def without(text, *keys):
    """The description with the value at these keys replaced by a number."""
    document = json.loads(text)
    node = document["model"]["object"]["fields"]
    for key in keys[:-1]:
        node = node[key]
    assert keys[-1] in node
    node[keys[-1]] = 3
    return json.dumps(document)


LIES = {
    "another latent": lambda text: text.replace("Categorical(2)", "Categorical(3)"),
    "a latent that is no text": lambda text: text.replace('"Categorical(2)"', "[]"),
    "an outline of another class": lambda text: text.replace("outline.Outline", "space.Space", 1),
    "a class that is no record": lambda text: text.replace("outline.Outline", "compiled.Compiled", 1),
    "no outline": lambda text: without(text, "model", "object", "fields", "declaration", "outline"),
    "domains that are none": lambda text: without(text, "parameters", "object", "fields", "domains"),
    "values that are none": lambda text: without(text, "parameters", "object", "fields", "values"),
    "a shape that there is not": lambda text: text.replace("domains.elementwise.Real", "domains.elementwise.Nothing"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_tampered_description_is_refused(tmp_path, fitted, lie):
    em.save(fitted("mixture"), tmp_path / "m")
    with_description(tmp_path / "m", LIES[lie])
    with pytest.raises(ModelFileError):
        em.load(tmp_path / "m", model=two_normals)


@pytest.mark.parametrize("fields_", [["y", "import os"], ["y", "_age"], ["y", "class"], ["y", "y"]])
def test_names_of_rows_that_are_no_names_are_refused(tmp_path, rng, fields_):
    layout = as_source(Visit(rng.normal(size=3), rng.random(3)), grouping=Grouping()).layout
    em.save(replace(of_visits, layout=layout), tmp_path / "m")
    old, new = json.dumps(["y", "age"]), json.dumps(fields_)
    with_description(tmp_path / "m", lambda text: json.dumps(json.loads(text)).replace(old, new))
    with pytest.raises(ModelFileError, match="cannot be understood"):
        em.load(tmp_path / "m", model=of_visits)


# -- checkpoints -------------------------------------------------------------------------------


def end_bits(result):
    numbers = np.array([result.objective, result.log_likelihood, result.remaining_gain, result.rate])
    return result.parameters.flatten().tobytes(), numbers.tobytes(), result.n_iter, result.status


@pytest.mark.parametrize("scheme", [None, "squarem"])
@pytest.mark.parametrize("name", ["mixture", "groups"])
def test_a_fit_goes_on_from_any_iteration_to_the_same_bits(tmp_path, name, scheme):
    model, x, start = CASES[name]
    path, states = tmp_path / "fit", []

    def keep(_):
        if path.exists():
            states.append(path.read_bytes())

    checkpoint = Checkpoint(path, every_seconds=0)
    options = {"parameters": start, "random_state": 0, "acceleration": scheme, "max_iter": 12, "checkpoint": checkpoint}
    whole = em.fit(model, x, callbacks=[keep], **options)
    assert len(states) > 2
    for content in states[:: max(1, len(states) // 3)]:
        path.write_bytes(content)
        assert end_bits(em.fit(model, x, **options)) == end_bits(whole)


def test_a_fit_that_goes_on_from_another_start_has_the_statistics_of_the_first(tmp_path):
    x = CASES["mixture"][1]
    source = as_source(x, grouping=Grouping())

    def ended(seed, **options):
        rng = np.random.default_rng(seed)
        start = initial_parameters(two_normals, source, given={}, rng=rng, executor=Serial())
        checkpoint = Checkpoint(tmp_path / "fit", every_seconds=0)
        model = checkpoint.prepared(two_normals, source.layout, lambda: prepare(two_normals, source, start))
        resume = checkpoint.load(start) if checkpoint.exists() else None
        return run(model, source, start, executor=Serial(), resume=resume, callbacks=[checkpoint], **options)

    whole = ended(1, max_iter=20)
    (tmp_path / "fit").unlink()
    ended(1, max_iter=3)
    resumed = ended(2, max_iter=20)
    assert end_bits(resumed) == end_bits(whole)
    assert resumed.expectation.statistics.coefficients.tobytes() == whole.expectation.statistics.coefficients.tobytes()
    assert resumed.model.basis.x.tobytes() == whole.model.basis.x.tobytes()


def test_a_checkpoint_of_other_columns_or_of_another_model_is_refused(tmp_path):
    source = as_source(CASES["mixture"][1], grouping=Grouping())
    start = two_normals.parameters(**{**START, "scales": [1.0, 1.0]})
    checkpoint = Checkpoint(tmp_path / "fit", every_seconds=0)
    model = checkpoint.prepared(two_normals, source.layout, lambda: prepare(two_normals, source, start))
    run(model, source, start, executor=Serial(), callbacks=[checkpoint], max_iter=1)
    named = as_source({"y": CASES["mixture"][1]}, grouping=Grouping())
    with pytest.raises(ModelFileError, match="checkpoint of other data: its columns are x instead of y"):
        Checkpoint(tmp_path / "fit").prepared(two_normals, named.layout, lambda: None)
    with pytest.raises(ModelFileError, match="it is of another model than the one given"):
        Checkpoint(tmp_path / "fit").prepared(intercepts, source.layout, lambda: None)
    with pytest.raises(ModelFileError, match="give that model"):
        Checkpoint(tmp_path / "fit").load(start)
    assert Checkpoint(tmp_path / "fit").load(start, model=two_normals).index == 1


# -- other processes ---------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A decorated model in a module that worker processes can import."""
    (tmp_path / "models_of_a_user.py").write_text(MODULE.replace("SCALES", "theta.scales[z]"))
    monkeypatch.syspath_prepend(tmp_path)
    import models_of_a_user

    return models_of_a_user.two_normals


def test_a_decorated_model_can_be_pickled_though_its_function_has_no_name_of_its_own(elsewhere):
    copy = pickle.loads(pickle.dumps(elsewhere))
    assert copy.declaration.token == elsewhere.declaration.token
    assert copy.declaration.densities == elsewhere.declaration.densities
    x = np.array([0.0, 1.0])
    np.testing.assert_array_equal(log_likelihood(copy, START, x), log_likelihood(elsewhere, START, x))


def test_a_result_can_be_pickled(elsewhere):
    result = em.fit(elsewhere, CASES["mixture"][1], parameters=START, max_iter=2)
    copy = pickle.loads(pickle.dumps(result))
    assert bits(copy, CASES["mixture"][1]) == bits(result, CASES["mixture"][1])


def test_worker_processes_end_at_the_same_bits(elsewhere):
    x = np.tile(CASES["mixture"][1], 150)
    options = {"parameters": START, "max_iter": 4}
    with em.Processes(2) as workers:
        other = em.fit(elsewhere, x, executor=workers, **options)
    assert end_bits(other) == end_bits(em.fit(elsewhere, x, executor="serial", **options))
