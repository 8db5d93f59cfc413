import itertools

import pytest
import torch
from libraries import broken, calls_of, plant
from torch.nn import attention as torch_attention
from torch.nn import functional

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import attention_kernels
from hyenaprof.operators.attention_kernels import ACTIVATED, PACKAGES, activated, pinned
from hyenaprof.operators.base import load
from hyenaprof.operators.packages import PackageRefused
from hyenaprof.worker.verify import verify

CPU = torch.device("cpu")
LSE = "log-sum-exp"


def right(q_BLHK, k_BLHK, v_BLHK, *, causal):
    """What any flash_attn_func gives: [B, L, H, K], contiguous."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q_BLHK, k_BLHK, v_BLHK))
    return functional.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).contiguous()


def full(q_BLHK, k_BLHK, v_BLHK, *, causal):  # noqa: ARG001 -- the library's form
    """One that forgets the mask."""
    return right(q_BLHK, k_BLHK, v_BLHK, causal=False)


def heads_mixed(q_BLHK, k_BLHK, v_BLHK, *, causal):
    """One that takes heads for positions."""
    return right(*(t.transpose(1, 2) for t in (q_BLHK, k_BLHK, v_BLHK)), causal=causal).transpose(1, 2)


@pytest.fixture
def on_cpu(monkeypatch):
    """Lets a CPU pass for a device that the packages have kernels for."""
    monkeypatch.setattr(attention_kernels, "refuse_all_but_cuda", lambda *_: None)


def point(implementation, scope=Scope.LAYER, *, head_dimension=8, length=21):
    return Point(
        operator="flash",
        implementation=implementation,
        scope=scope,
        phase=Phase.TRAINING,
        shape=Shape(batch=2, length=length, width=2 * head_dimension, heads=2),
        dtype=DType.FLOAT32,
        device="cpu",
    )


def checked(asked):
    return verify(load("flash", {}), asked, CPU, "here")


def built(implementation, *, dtype=DType.FLOAT32):
    shape = Shape(batch=1, length=9, width=8, heads=2)
    return load("flash", {}).build(implementation, shape, Scope.CORE, dtype=dtype, device=CPU)


@pytest.mark.parametrize(
    ("implementation", "answer"),
    [(name, answer) for name in PACKAGES for answer in ("output", "pair")],
)
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("head_dimension", [64, 128])
@pytest.mark.usefixtures("on_cpu")
def test_a_package_is_its_definition_and_every_gradient_with_it(
    monkeypatch, implementation, answer, scope, head_dimension
):
    given = right if answer == "output" else lambda *qkv, causal: (right(*qkv, causal=causal), LSE)
    function, calls = calls_of(given)
    plant(monkeypatch, PACKAGES[implementation], flash_attn_func=function)
    check = checked(point(implementation, scope, head_dimension=head_dimension))
    assert check.passed, check.worst
    q_BLHK, *_, named = calls[-1]
    assert q_BLHK.shape == (2, 21, 2, head_dimension)
    assert named == {"causal": True}


@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.usefixtures("on_cpu")
def test_nothing_is_copied_on_the_way_to_a_package(monkeypatch, scope):
    function, calls = calls_of(right)
    plant(monkeypatch, "flash_attn", flash_attn_func=function)
    asked = point("fa2", scope)
    operator = load("flash", {})
    launch = operator.build("fa2", asked.shape, scope, dtype=DType.FLOAT32, device=CPU)
    inputs = operator.inputs(asked.shape, scope, dtype=DType.FLOAT32, device=CPU, seed=0)
    launch(*inputs)
    q_BLHK, k_BLHK, v_BLHK, _ = calls[-1]
    assert all(tensor.stride(-1) == 1 for tensor in (q_BLHK, k_BLHK, v_BLHK)), "all that the packages ask for"
    if scope is Scope.CORE:
        assert [t.data_ptr() for t in (q_BLHK, k_BLHK, v_BLHK)] == [t.data_ptr() for t in inputs]
    else:
        assert q_BLHK.untyped_storage().data_ptr() == v_BLHK.untyped_storage().data_ptr(), "views of one projection"


@pytest.mark.parametrize("wrong", [full, heads_mixed])
@pytest.mark.usefixtures("on_cpu")
def test_a_package_that_computes_something_else_is_red(monkeypatch, wrong):
    plant(monkeypatch, "flash_attn", flash_attn_func=wrong)
    assert not checked(point("fa2")).passed


@pytest.mark.parametrize("implementation", [*PACKAGES, *ACTIVATED])
def test_on_a_cpu_a_cuda_package_is_refused_before_it_is_imported(implementation):
    with pytest.raises(Unsupported, match=f"^{implementation} has kernels for CUDA alone, none for cpu$") as caught:
        built(implementation)
    assert not isinstance(caught.value, PackageRefused), "nothing that is installed would help"


@pytest.mark.parametrize(("implementation", "root"), [("fa2", "flash_attn"), ("fa3", "flash_attn_interface")])
@pytest.mark.usefixtures("on_cpu")
def test_a_package_that_is_missing_or_broken_is_refused_in_its_own_words(implementation, root):
    with pytest.raises(PackageRefused, match=f"^No module named '{root}'$"):
        built(implementation)
    with broken(root, ImportError(f"{root}.so: undefined symbol: _ZNK3c10")), pytest.raises(PackageRefused) as caught:
        built(implementation)
    assert str(caught.value) == f"{root}.so: undefined symbol: _ZNK3c10"


@pytest.mark.usefixtures("on_cpu")
def test_flash_attention_4_alone_does_not_pass_for_2(monkeypatch):
    plant(monkeypatch, "flash_attn.cute", flash_attn_func=right)
    assert checked(point("fa4")).passed
    with pytest.raises(PackageRefused, match="cannot import name 'flash_attn_func' from 'flash_attn'"):
        built("fa2")


@pytest.mark.usefixtures("on_cpu")
def test_a_package_that_refuses_the_problem_is_unsupported_in_its_words(monkeypatch):
    def fussy(q_BLHK, *_, causal):  # noqa: ARG001 -- the library's form
        assert q_BLHK.dtype in {torch.float16, torch.bfloat16}, "inputs must be float16 or bfloat16"

    plant(monkeypatch, "flash_attn.cute", flash_attn_func=fussy)
    with pytest.raises(Unsupported, match=r"^inputs must be float16 or bfloat16"):
        built("fa4")


@pytest.mark.parametrize("implementation", ["cudnn", "efficient"])
def test_a_backend_that_is_pinned_and_not_there_is_refused_by_torch(implementation):
    with pytest.raises(Unsupported, match=r"^No (available kernel|viable backend)"):
        built(implementation)


@pytest.mark.parametrize("head_dimension", [64, 128])
def test_sdpa_runs_both_head_dimensions(head_dimension):
    check = checked(point("sdpa", head_dimension=head_dimension))
    assert check.passed, check.worst


@pytest.fixture
def replaceable(monkeypatch):
    """A torch whose flash backend can be replaced: gives what is active, and every change of it."""
    changes = [None]

    def activate(name):
        if name not in {"FA3", "FA4"}:
            raise ValueError(f"Unknown flash attention impl '{name}'")
        changes.append(name)

    for name, fake in {
        "activate_flash_attention_impl": activate,
        "restore_flash_attention_impl": lambda: changes.append(None),
        "current_flash_attention_impl": lambda: changes[-1],
    }.items():
        monkeypatch.setattr(torch_attention, name, fake)
    return changes


def test_each_call_runs_by_the_implementation_it_was_built_for_whatever_ran_before(replaceable):
    q = torch.randn(1, 1, 5, 8)
    kernels = {name: activated(name) for name in ("FA3", "FA4")}
    kernels[None] = pinned(attention_kernels.BACKENDS["sdpa"])
    for name in (None, "FA3", "FA3", None, "FA4", "FA3", None):
        kernels[name](q, q, q)
        assert replaceable[-1] == name
    assert len([name for name, _ in itertools.groupby(replaceable)]) == len(replaceable), "no change without need"


@pytest.mark.parametrize("implementation", ACTIVATED)
@pytest.mark.usefixtures("on_cpu")
def test_what_torch_activates_is_its_definition(replaceable, implementation):
    check = checked(point(implementation))
    assert check.passed, check.worst
    assert replaceable[-1] == ACTIVATED[implementation]


@pytest.mark.usefixtures("replaceable")
def test_torch_without_such_a_name_says_so():
    with pytest.raises(Unsupported, match="Unknown flash attention impl 'FA9'"):
        activated("FA9")


def test_a_torch_that_replaces_nothing_is_unsupported_and_its_own_kernel_runs(monkeypatch):
    for name in ("activate", "restore", "current"):
        monkeypatch.delattr(torch_attention, f"{name}_flash_attention_impl")
    with pytest.raises(Unsupported, match="has no activate_flash_attention_impl"):
        activated("FA3")
    assert checked(point("sdpa")).passed


@pytest.mark.parametrize(("name", "root"), [("FA3", "flash_attn_interface"), ("FA4", "flash_attn")])
def test_torch_says_what_it_lacks_to_activate_a_package(name, root):
    with pytest.raises(PackageRefused, match=f"^torch cannot activate {name}: No module named '{root}'$"):
        activated(name)


def test_torch_says_that_a_package_has_no_kernels(monkeypatch):
    plant(monkeypatch, "flash_attn_interface")
    with pytest.raises(PackageRefused, match="does not expose FA3"):
        activated("FA3")
