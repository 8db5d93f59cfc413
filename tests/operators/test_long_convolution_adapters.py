import pytest
import torch
from libraries import broken, plant
from torch import nn
from torch.nn import functional

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import long_convolution_adapters
from hyenaprof.operators.base import load
from hyenaprof.operators.convolution import long_convolution
from hyenaprof.operators.long_convolution_adapters import with_skip
from hyenaprof.operators.packages import PackageRefused
from hyenaprof.worker.verify import verify

CPU = torch.device("cpu")
LENGTHS = [1, 2, 3, 21, 61, 128, 129]


class FlashFFTConv(nn.Module):
    """What the library of that name takes and gives: nothing but contiguous 16 bits, float32 taps, powers of two."""

    def __init__(self, seqlen, dtype=torch.float16):
        super().__init__()
        assert dtype in {torch.float16, torch.bfloat16}
        assert 256 <= seqlen == 1 << (seqlen.bit_length() - 1)
        self.seqlen, self.dtype = seqlen, dtype

    def forward(self, u, k, pregate=None, postgate=None):
        assert (pregate is None) == (postgate is None)
        given = [tensor for tensor in (u, pregate, postgate) if tensor is not None]
        assert all(tensor.is_contiguous() and tensor.dtype is self.dtype for tensor in given)
        assert k.is_contiguous()
        assert k.dtype is torch.float32
        length = u.shape[-1]
        assert length % (4 if self.seqlen in {512, 2048} else 2) == 0
        assert 2 * k.shape[-1] <= self.seqlen, "nothing may wrap round"
        u = u if pregate is None else u * pregate
        y = long_convolution(u, functional.pad(k, (0, length - k.shape[-1])))
        return y if postgate is None else y * postgate


class Ungated(FlashFFTConv):
    """One that forgets the gate before."""

    def forward(self, u, k, pregate=None, postgate=None):
        return super().forward(u, k, pregate if pregate is None else torch.ones_like(u), postgate)


def fft_causal_conv1d(x, weight):
    """What subquadratic_ops_torch takes and gives."""
    assert x.dtype is weight.dtype
    assert x.is_contiguous()
    assert weight.is_contiguous()
    return long_convolution(x, weight)


def fft_conv(u, k, dropout_mask, gelu=True, k_rev=None):
    """What fla takes and gives, u added by itself."""
    assert dropout_mask is None
    assert k_rev is None
    out = long_convolution(u.to(k.dtype), k) + u
    return (functional.gelu(out) if gelu else out).to(u.dtype)


def forgetful(u, k, dropout_mask, gelu=True, k_rev=None):
    """One that no longer adds u."""
    return fft_conv(u, k, dropout_mask, gelu, k_rev) - u


LIBRARIES = {"flashfftconv": "flashfftconv", "subq": "subquadratic_ops_torch", "fla": "fla"}


def plant_fla(monkeypatch, function=fft_conv, place="fla.modules.long_conv"):
    plant(monkeypatch, place, fft_conv=function)
    there = type("LongConvolution", (), {"__module__": place})
    if place == "fla.modules":
        plant(monkeypatch, place, fft_conv=function, LongConvolution=there)
    else:
        plant(monkeypatch, "fla.modules", LongConvolution=there)


@pytest.fixture
def libraries(monkeypatch):
    """All three, on a device that passes for one that they have kernels for."""
    monkeypatch.setattr(long_convolution_adapters, "refuse_all_but_cuda", lambda *_: None)
    plant(monkeypatch, "flashfftconv", FlashFFTConv=FlashFFTConv)
    plant(monkeypatch, "subquadratic_ops_torch.fft_causal_conv1d", fft_causal_conv1d=fft_causal_conv1d)
    plant_fla(monkeypatch)


@pytest.fixture
def no_guard(monkeypatch):
    """No library, and no device asked for."""
    monkeypatch.setattr(long_convolution_adapters, "refuse_all_but_cuda", lambda *_: None)


def point(implementation, scope=Scope.LAYER, *, length=21, order=2, width=16):
    return Point(
        operator="hyena",
        implementation=implementation,
        scope=scope,
        phase=Phase.TRAINING,
        shape=Shape(batch=2, length=length, width=width, heads=2),
        dtype=DType.BFLOAT16 if implementation == "flashfftconv" else DType.FLOAT32,
        device="cpu",
        options=() if order == 2 else (("order", order),),
    )


def checked(asked):
    return verify(load("hyena", dict(asked.options)), asked, CPU, "here")


def built(implementation, *, length=21, width=16, dtype=DType.BFLOAT16):
    shape = Shape(batch=1, length=length, width=width, heads=2)
    return load("hyena", {}).build(implementation, shape, Scope.CORE, dtype=dtype, device=CPU)


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("implementation", LIBRARIES)
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_librarys_convolution_gives_hyena_and_every_gradient(implementation, scope, length):
    check = checked(point(implementation, scope, length=length))
    assert check.passed, check.worst


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("implementation", LIBRARIES)
@pytest.mark.parametrize("order", [3, 4])
def test_higher_orders_have_a_convolution_for_each_gate_but_one(implementation, order):
    check = checked(point(implementation, Scope.CORE, order=order))
    assert check.passed, check.worst


@pytest.mark.usefixtures("libraries")
def test_a_library_that_forgets_a_gate_is_red(monkeypatch):
    plant(monkeypatch, "flashfftconv", FlashFFTConv=Ungated)
    assert not checked(point("flashfftconv")).passed


@pytest.mark.usefixtures("libraries")
def test_a_library_that_changes_what_it_adds_is_red(monkeypatch):
    plant_fla(monkeypatch, forgetful)
    assert not checked(point("fla", Scope.CORE)).passed


@pytest.mark.parametrize("place", ["fla.modules.long_conv", "fla.modules.convolution", "fla.modules"])
def test_flas_convolution_is_found_wherever_its_version_keeps_it(monkeypatch, place):
    plant_fla(monkeypatch, place=place)
    assert checked(point("fla", Scope.CORE)).passed


@pytest.mark.parametrize("implementation", ["flashfftconv", "subq"])
def test_on_a_cpu_a_cuda_library_is_refused_before_it_is_imported(implementation):
    with pytest.raises(Unsupported, match="has kernels for CUDA alone, none for cpu") as caught:
        built(implementation)
    assert not isinstance(caught.value, PackageRefused)


@pytest.mark.usefixtures("no_guard")
@pytest.mark.parametrize(("implementation", "root"), LIBRARIES.items())
def test_a_library_that_is_missing_or_broken_is_refused_in_its_own_words(implementation, root):
    with pytest.raises(PackageRefused, match=f"^No module named '{root}'$"):
        built(implementation)
    with (
        broken(root, ImportError(f"{root}: undefined symbol")),
        pytest.raises(PackageRefused, match="undefined symbol"),
    ):
        built(implementation)


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": DType.FLOAT32}, "supports FP16 and BF16 only, not torch.float32"),
        (
            {"length": 32768, "width": 24},
            "FFT sizes larger than 32768 the width must be a multiple of 16, and 24 is not",
        ),
    ],
)
def test_what_flashfftconv_rules_out_is_unsupported(changes, said):
    with pytest.raises(Unsupported, match=said):
        built("flashfftconv", **changes)


@pytest.mark.usefixtures("libraries")
def test_what_a_library_refuses_is_unsupported_in_its_words(monkeypatch):
    def fussy(*_):
        raise RuntimeError("no kernel image is available\nmore")

    plant(monkeypatch, "subquadratic_ops_torch.fft_causal_conv1d", fft_causal_conv1d=fussy)
    with pytest.raises(Unsupported, match=r"^no kernel image is available$"):
        built("subq")


def test_the_skip_is_one_more_of_the_first_tap_and_its_gradient_goes_there():
    taps, skip = torch.zeros(2, 3, requires_grad=True), torch.tensor([5.0, 7.0], requires_grad=True)
    folded = with_skip(taps, skip)
    assert folded.tolist() == [[5, 0, 0], [7, 0, 0]]
    folded[:, 0].sum().backward()
    assert skip.grad.tolist() == [1, 1]
