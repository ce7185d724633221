"""A model file gives back the same bits, or says that it is no longer what was written."""

import io
import json
import zipfile
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest

from latentem.errors import ModelFileError
from latentem.families.poisson import Poisson
from latentem.io import load, load_with_notes, save
from latentem.io.encoding import decode, encode, library_classes, library_modules
from latentem.result import Status


def same(a, b):
    """Equality of type, bits and structure, NaN included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        bits = a.tolist() == b.tolist() if a.dtype.hasobject else a.tobytes() == b.tobytes()
        return a.dtype == b.dtype and a.shape == b.shape and bits
    if is_dataclass(a):
        stored = [f.name for f in fields(a) if f.init and f.metadata.get("stored", True)]
        return all(same(getattr(a, name), getattr(b, name)) for name in stored)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b or (a != a and b != b)


def rewritten(path, change):
    """Write the file anew with its entries changed; `change` gets name → bytes."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries = change(entries) or entries
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def with_description(path, change):
    """Change the JSON; `change` gets the document."""

    def edit(entries):
        document = json.loads(entries["model.json"])
        change(document)
        entries["model.json"] = json.dumps(document).encode()

    rewritten(path, edit)


@pytest.fixture
def saved(tmp_path, fitted):
    result, source = fitted("full")
    save(result, tmp_path / "m.latentem", notes={"columns": ["a", "b"]})
    return tmp_path / "m.latentem", result, source


@pytest.mark.parametrize("latent", ["mixture", "chain"])
def test_a_loaded_result_is_the_saved_one_and_predicts_the_same_bits(tmp_path, family, latent, fitted, posterior_bits):
    result, source = fitted(family, latent)
    save(result, tmp_path / "m.latentem")
    loaded = load(tmp_path / "m.latentem")
    assert same(loaded, result)
    assert posterior_bits(loaded, source) == posterior_bits(result, source)


def test_parameters_and_models_alone_can_be_saved(tmp_path, saved):
    _, result, _ = saved
    for part in (result.parameters, result.model, result.expectation):
        save(part, tmp_path / "part.latentem")
        assert same(load(tmp_path / "part.latentem"), part)


@pytest.mark.parametrize(
    "value",
    [
        None, True, -3, 10**30, "ü\n", 0.1, -0.0, 5e-324, float("nan"), float("inf"), float("-inf"),
        np.float32(0.1), np.float64("nan"), np.int8(-3), np.bool_(True), (), (1, (2.0, [None])), [], {},
        {"a": {1: (2,)}},
        np.zeros((0, 3)), np.array(3.0), np.arange(6, dtype="i2").reshape(2, 3), np.array([True]), np.float32([1 / 3]),
        np.array(["a", "bc"]), np.array(["a", "bc"], dtype=object), Status.MAX_ITER, np.float32, np.float64,
    ],
)  # fmt: skip
def test_every_kind_of_value_comes_back_with_its_type_and_bits(tmp_path, value):
    save(value, tmp_path / "v")
    assert same(load(tmp_path / "v"), value)


def test_memory_order_comes_back_because_sums_depend_on_it(tmp_path):
    value = np.asfortranarray(np.random.default_rng(0).standard_normal((5, 4)))
    save(value, tmp_path / "v")
    assert load(tmp_path / "v").flags.f_contiguous
    np.testing.assert_array_equal(load(tmp_path / "v"), value)


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_random_generator_goes_on_where_it_was(tmp_path, make):
    generator = make(5)
    generator.random(3)
    save(generator, tmp_path / "v")
    loaded = load(tmp_path / "v")
    assert type(loaded) is type(generator)
    np.testing.assert_array_equal(loaded.random(9), generator.random(9))


@pytest.mark.parametrize("value", [print, object(), lambda: 0, int, 1j, {1, 2}, np.array([1j]), np.array([{}]), b"x"])
def test_what_a_file_cannot_hold_is_refused_with_its_place_and_nothing_is_written(tmp_path, value):
    with pytest.raises(ModelFileError, match=r"the model\[1\]\['key'\] is a"):
        save((0, {"key": value}), tmp_path / "v")
    assert list(tmp_path.iterdir()) == []


def test_notes_come_back(saved):
    assert load_with_notes(saved[0])[1] == {"columns": ["a", "b"]}


def test_saving_twice_gives_the_same_file(saved, tmp_path):
    path, result, _ = saved
    save(result, tmp_path / "again", notes={"columns": ["a", "b"]})
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_saving_replaces_a_file_as_a_whole_and_leaves_nothing_beside_it(saved):
    path, result, _ = saved
    save(result.parameters, path)
    assert same(load(path), result.parameters)
    with pytest.raises(ModelFileError):
        save(print, path)
    assert same(load(path), result.parameters)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(ModelFileError, match="cannot write"):
        save(1, tmp_path / "none" / "m")
    with pytest.raises(ModelFileError, match=r"cannot read .*No such file"):
        load(tmp_path / "none")


def test_a_file_cut_at_any_length_is_refused(saved):
    path, _, _ = saved
    content = path.read_bytes()
    for length in [*range(0, len(content) - 300, 13), *range(len(content) - 300, len(content))]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            load(path)


def test_one_changed_byte_is_refused_or_changes_nothing(saved, posterior_bits):
    """Bytes that say nothing of the model (times, the version of zip) may change."""
    path, result, source = saved
    content = bytearray(path.read_bytes())
    bits, refused = posterior_bits(result, source), 0
    rng = np.random.default_rng(1)
    positions = rng.choice(len(content), 1500, replace=False)
    for position in positions:
        changed = content.copy()
        changed[position] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            loaded = load(path)
        except ModelFileError:
            refused += 1
        else:
            assert posterior_bits(loaded, source) == bits
            assert loaded.status is result.status
    assert refused > 0.9 * len(positions)


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


ENTRY = "arrays/2.npy"  # the weights of the components
TAMPERINGS = {
    "an entry is missing": lambda entries: entries.pop(ENTRY) and None,
    "an entry is extra": lambda entries: entries.update({"extra.npy": b""}),
    "no description": lambda entries: entries.pop("model.json") and None,
    "description is no JSON": lambda entries: entries.update({"model.json": b"{"}),
    "description is no text": lambda entries: entries.update({"model.json": b"\xff\xfe"}),
    "description is a list": lambda entries: entries.update({"model.json": b"[]"}),
    "nested without end": lambda entries: entries.update({"model.json": b"[" * 100_000}),
    "another shape": lambda entries: entries.update({ENTRY: npy(np.ones(7))}),
    "another type": lambda entries: entries.update({ENTRY: npy(np.ones(2, np.float32))}),
    "objects": lambda entries: entries.update({ENTRY: npy(np.array([{}, 1]), allow_pickle=True)}),
    "no array": lambda entries: entries.update({ENTRY: b"hello"}),
    "bytes are lacking": lambda entries: entries.update({ENTRY: entries[ENTRY][:-1]}),
    "bytes too many": lambda entries: entries.update({ENTRY: entries[ENTRY] + b"\0"}),
    "a shape far larger than the file": lambda entries: entries.update(
        {ENTRY: entries[ENTRY].replace(b"(2,), }       ", b"(2000000000,),}")}
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_with_entries_is_refused(saved, tampering):
    path, _, _ = saved
    before = path.read_bytes()
    rewritten(path, TAMPERINGS[tampering])
    assert path.read_bytes() != before
    with pytest.raises(ModelFileError):
        load(path)


def edit(*keys, value):
    """Set a value deep inside the description."""

    def change(document):
        node = document
        for key in keys[:-1]:
            node = node[key]
        assert keys[-1] in node
        node[keys[-1]] = value

    return change


ROOT = ("model", "object", "fields")
WEIGHTS = (*ROOT, "parameters", "object", "fields", "latent", "object", "fields", "weights", "array")
LIES = {
    "unknown class": edit("model", "object", "class", value="os.system"),
    "class outside the library": edit("model", "object", "class", value="pathlib.Path"),
    "unknown kind": edit("model", value={"call": "print"}),
    "private method as kind": edit("model", value={"known": "x"}),
    "two kinds": edit("model", value={"tuple": [], "dict": []}),
    "field that is not there": edit(*ROOT, value={"nonsense": 1}),
    "a shape that is not the array's": edit(*WEIGHTS, "shape", value=[10**12]),
    "a type that is not the array's": edit(*WEIGHTS, "dtype", value="|O"),
    "an entry of no array": edit(*WEIGHTS, "entry", value="model.json"),
    "an entry that is no name": edit(*WEIGHTS, "entry", value=[]),
    "no status": edit(*ROOT, "status", "enum", "name", value="PERFECT"),
    "a float that is none": edit(*ROOT, "log_likelihood", value={"float": "1e5"}),
    "another format": edit("format", value="other"),
    "a version of no kind": edit("format_version", value="1"),
    "no notes": edit("notes", value=None),
    "negative number of states": edit(
        *ROOT, "model", "object", "fields", "latent", "object", "fields", "n_states", value=-1
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_tampering_with_the_description_is_refused(saved, lie):
    path, _, _ = saved
    with_description(path, LIES[lie])
    with pytest.raises(ModelFileError):
        load(path)


def test_a_newer_format_says_to_upgrade(saved):
    with_description(saved[0], edit("format_version", value=99))
    with pytest.raises(ModelFileError, match="upgrade"):
        load(saved[0])


def test_parameters_outside_their_domain_are_refused(saved):
    rewritten(saved[0], lambda entries: entries.update({ENTRY: npy(np.array([0.7, 0.7]), version=(1, 0))}))
    with pytest.raises(ModelFileError, match="weights must lie in Simplex"):
        load(saved[0])


def test_compressed_entries_are_refused_since_they_could_unpack_to_anything(saved):
    path, _, _ = saved
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match="compressed"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"a,b\n1,2\n", b"\x80\x04K\x01."])
def test_other_files_are_no_model_files(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFileError, match="no model file"):
        load(tmp_path / "m")


@dataclass(frozen=True)
class OwnFamily(Poisson):
    """A user's family."""

    option: int = 3


def test_a_class_of_the_users_own_must_be_named_on_both_sides(tmp_path):
    with pytest.raises(ModelFileError, match="OwnFamily"):
        save(OwnFamily(4), tmp_path / "m")
    save(OwnFamily(4), tmp_path / "m", types=(OwnFamily,))
    with pytest.raises(ModelFileError, match="types="):
        load(tmp_path / "m")
    assert load(tmp_path / "m", types=(OwnFamily,)) == OwnFamily(4)


def test_every_record_that_is_no_part_of_the_lists_is_unknown():
    assert "families.gaussian" in library_modules() and "acceleration.squarem" in library_modules()
    assert not {"cli", "io.encoding", "kernels.build", "execution", "os"} & library_modules()
    assert library_classes("os") == {} and library_classes("io.encoding") == {}
    assert library_classes("families.poisson").keys() == {"Poisson", "PoissonParameters"}


def test_encoding_holds_no_array_twice():
    array = np.arange(3.0)
    description, arrays = encode((array, array))
    assert len(arrays) == 1
    first, second = decode(description, arrays)
    assert first is second


def test_saving_and_loading_a_result_imports_no_scikit_learn(run_python, saved):
    code = "import sys; from latentem.io import load; load(sys.argv[1]); print('sklearn' in sys.modules)"
    assert run_python(code, saved[0]) == "False"
