"""A fit that is broken off anywhere and goes on from its file ends at the same bits."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import latentem
from latentem.acceleration import Squarem
from latentem.datasets import load_faithful
from latentem.em import run
from latentem.errors import ModelFileError, ParameterError
from latentem.execution import Serial
from latentem.io import Checkpoint, load, save
from latentem.result import Step

SCHEMES = {"plain": None, "squarem": Squarem()}


def end_bits(result):
    """All that a fit found, as bits: the history of the part before the break is not part of it."""
    scalars = [result.objective, result.log_likelihood, result.remaining_gain, result.rate]
    return (
        result.parameters.flatten().tobytes(),
        np.array(scalars).tobytes(),
        result.n_iter,
        result.status,
        result.findings,
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("latent", ["mixture", "chain"])
def test_going_on_from_any_iteration_ends_at_the_same_bits(tmp_path, fitted, family, latent, scheme):
    checkpoint = Checkpoint(tmp_path / "fit", every_seconds=0)
    states = []
    options = {"acceleration": SCHEMES[scheme], "max_iter": 25, "tol": 1e-3}

    def keep(iteration):
        checkpoint(iteration)
        states.append(checkpoint.path.read_bytes())

    whole, source = fitted(family, latent, callbacks=[keep], **options)
    assert len(states) == len(whole.history) > 3
    for content in states:
        checkpoint.path.write_bytes(content)
        resumed = run(whole.model, source, None, executor=Serial(), resume=checkpoint.load(whole.parameters), **options)
        assert end_bits(resumed) == end_bits(whole)


def test_every_field_of_the_iteration_comes_back(tmp_path, fitted):
    kept = []
    checkpoint = Checkpoint(tmp_path / "fit", every_seconds=0)
    fitted("full", callbacks=[kept.append, checkpoint])
    loaded, last = checkpoint.load(), kept[-1]
    assert loaded.step is last.step is not Step.START
    for item in fields(last):
        a, b = getattr(loaded, item.name), getattr(last, item.name)
        assert type(a) is type(b)
    assert loaded.parameters.flatten().tobytes() == last.parameters.flatten().tobytes()
    assert loaded.em_parameters.flatten().tobytes() == last.em_parameters.flatten().tobytes()
    assert loaded.gains == last.gains and loaded.index == last.index and loaded.rounding == last.rounding


def test_it_writes_at_once_and_then_only_when_the_time_has_come(tmp_path, fitted):
    often, seldom = Checkpoint(tmp_path / "a", every_seconds=0), Checkpoint(tmp_path / "b", every_seconds=1000)
    result, _ = fitted("full", callbacks=[often, seldom])
    assert often.load().index == result.n_iter
    assert seldom.load().index == 0


def test_it_tells_a_file_of_another_model_from_its_own(tmp_path, fitted):
    checkpoint = Checkpoint(tmp_path / "fit", every_seconds=0)
    fitted("full", callbacks=[checkpoint])
    other, _ = fitted("tied")
    with pytest.raises(ModelFileError, match="another model"):
        checkpoint.load(other.parameters)
    save(other, checkpoint.path)
    with pytest.raises(ModelFileError, match="not a checkpoint"):
        checkpoint.load()


def test_no_file_is_nothing_to_go_on_from(tmp_path):
    checkpoint = Checkpoint(tmp_path / "none")
    assert not checkpoint.exists()
    with pytest.raises(ModelFileError, match="cannot read"):
        checkpoint.load()
    with pytest.raises(ModelFileError, match="every_seconds"):
        Checkpoint(tmp_path / "none", every_seconds=float("nan"))


def gaussians(n_components=3):
    return latentem.LatentVariableModel(latentem.Categorical(n_components), latentem.families.FullGaussian())


def test_fit_takes_a_path_and_goes_on_from_it(tmp_path):
    data = load_faithful().values
    whole = latentem.fit(gaussians(), data, random_state=1, tol=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "__call__", Checkpoint.write)
        part = latentem.fit(gaussians(), data, random_state=1, tol=1e-9, max_iter=4, checkpoint=tmp_path / "c")
    assert not part.converged
    again = latentem.fit(gaussians(), data, random_state=1, tol=1e-9, checkpoint=str(tmp_path / "c"))
    assert end_bits(again) == end_bits(whole) and len(again.history) == len(whole.history) - 5


@pytest.mark.parametrize("change", [lambda x: x[:-1], lambda x: x * 1.001], ids=["fewer rows", "other units"])
def test_a_checkpoint_of_other_data_is_refused(tmp_path, change):
    data = load_faithful().values
    latentem.fit(gaussians(), data, random_state=1, max_iter=4, checkpoint=tmp_path / "c")
    with pytest.raises(ModelFileError, match="other data"):
        latentem.fit(gaussians(), change(data), random_state=1, checkpoint=tmp_path / "c")
    with pytest.raises(ModelFileError, match="other data"):
        latentem.GaussianMixture(3, random_state=1).fit(change(data), checkpoint=tmp_path / "c")


def test_several_starts_have_no_checkpoint(tmp_path):
    data = load_faithful().values
    for options in ({"n_init": 2}, {"restart_collapsed": 1}):
        with pytest.raises(ParameterError, match="one start"):
            latentem.fit(gaussians(), data, checkpoint=tmp_path / "c", **options)
        with pytest.raises(ParameterError, match="one start"):
            latentem.GaussianMixture(3, **options).fit(data, checkpoint=tmp_path / "c")
    warm = latentem.GaussianMixture(2, warm_start=True, random_state=0).fit(data)
    with pytest.raises(ParameterError, match="warm_start"):
        warm.fit(data, checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_an_estimator_goes_on_from_its_checkpoint(tmp_path, acceleration):
    data = load_faithful().values
    options = {"n_components": 3, "tol": 1e-8, "max_iter": 999, "random_state": 1, "acceleration": acceleration}
    whole = latentem.GaussianMixture(**options).fit(data)
    checkpoint = Checkpoint(tmp_path / "c", every_seconds=0)
    with pytest.warns(ConvergenceWarning):
        latentem.GaussianMixture(**{**options, "max_iter": 5}).fit(data, checkpoint=checkpoint)
    again = latentem.GaussianMixture(**options).fit(data, checkpoint=checkpoint)
    assert end_bits(again.result_) == end_bits(whole.result_)
    finished = latentem.GaussianMixture(**options).fit(data, checkpoint=checkpoint)
    assert end_bits(finished.result_) == end_bits(whole.result_) and len(finished.result_.history) == 1


KILLED = """
import sys, time
from latentem.data import ArraySource
from latentem.datasets import load_faithful
from latentem.em import run
from latentem.execution import Serial
from latentem.acceleration import Squarem
from latentem.families.gaussian import FullGaussian
from latentem.io import Checkpoint, save
from latentem.latents import Categorical
from latentem.model import LatentVariableModel
import numpy as np

folder = sys.argv[1]
model = LatentVariableModel(Categorical(3), FullGaussian())
source = ArraySource(load_faithful().values)
start = model.start(source.read(source.chunks[0]))
start = start.unflatten(start.flatten() + 0.1 * np.random.default_rng(0).standard_normal(start.n_free))
checkpoint = Checkpoint(folder + "/fit", every_seconds=0)
resume = checkpoint.load(start) if checkpoint.exists() else None
pause = lambda iteration: time.sleep(0.004)
result = run(model, source, start, executor=Serial(), acceleration=Squarem(), tol=1e-9, max_iter=400,
             callbacks=[checkpoint, pause], resume=resume)
save(result, folder + "/result")
"""


def test_a_fit_killed_again_and_again_ends_at_the_bits_of_one_that_was_not(tmp_path, run_python):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    run_python(KILLED, whole)
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(broken)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        seen = state_of(broken)
        while process.poll() is None and state_of(broken) == seen:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.06))
        if process.poll() is not None:
            assert process.returncode == 0
            break
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()
        kills += 1
    else:
        run_python(KILLED, broken)
    assert kills >= 3
    assert end_bits(load(broken / "result")) == end_bits(load(whole / "result"))


def state_of(folder):
    path = folder / "fit"
    return path.stat().st_mtime_ns if path.exists() else 0
