from __future__ import annotations

import os_traits
import pytest

host = pytest.importorskip("gureum.drivers.hypervisor.libvirt.host")


def test_features_become_standard_traits():
    found = host.traits(["sse4.1", "aes", "pni", "fma", "avx512-vpopcntdq", "svm", "no-such-feature"], uefi=False)
    for name in ("SSE41", "AESNI", "SSE3", "FMA3", "AMD_SVM"):
        assert f"HW_CPU_X86_{name}" in found
    assert "COMPUTE_FIRMWARE_UEFI" not in found
    assert "COMPUTE_FIRMWARE_UEFI" in host.traits([], uefi=True)


def test_every_trait_is_a_standard_one():
    found = host.traits(["avx512f", "sha-ni", "bmi1", "rtm", "vmx", "3dnow"], uefi=True)
    assert set(found) <= set(os_traits.get_traits())
    assert set(host._FEATURE_TRAITS.values()) <= set(os_traits.get_traits())
