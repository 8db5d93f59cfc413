# hyenaprof on an NVIDIA GPU. The host brings the driver and the NVIDIA container toolkit.
#
#   docker build -t hyenaprof .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD/runs:/measure/runs" \
#       hyenaprof sweep --ops hyena,flash --max-len 131072
#
# `--user` makes the run's files yours; without it they belong to the image's own user. The image is not needed on a
# CPU, where `make sweep` installs a fraction of it.

# flash-attn 2 is built where nvcc is, against the same torch and CUDA, and only its wheel goes into the image. Without a
# wheel of its makers for this torch that takes an hour or more: raise MAX_JOBS where there are cores and 4 GB for each.
FROM nvidia/cuda:13.0.2-devel-ubuntu24.04 AS flash-attn
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-dev python3-venv g++ git \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/build
ENV PATH=/opt/build/bin:$PATH
WORKDIR /opt/build/source
COPY constraints.txt ./
RUN pip install -c constraints.txt torch setuptools wheel packaging ninja psutil
ARG MAX_JOBS=4
RUN MAX_JOBS=$MAX_JOBS pip wheel --no-build-isolation --no-deps --wheel-dir /opt/wheels "flash-attn>=2.7"

# torch's wheel brings the CUDA 13.0 libraries that it was built with, so the smallest CUDA image is enough.
FROM nvidia/cuda:13.0.2-base-ubuntu24.04

# Triton compiles its kernels' launchers when they first run, with a C compiler and Python's headers.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-dev python3-venv gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home hyenaprof \
    && install -d -o hyenaprof /opt/hyenaprof /measure
USER hyenaprof

# Ubuntu's own Python takes no packages.
RUN python3 -m venv /opt/hyenaprof
ENV PATH=/opt/hyenaprof/bin:$PATH

WORKDIR /opt/hyenaprof/source
COPY --chown=hyenaprof constraints.txt pyproject.toml README.md LICENSE ./
COPY --chown=hyenaprof hyenaprof hyenaprof
COPY --chown=hyenaprof scenarios scenarios
RUN pip install -c constraints.txt .
COPY --from=flash-attn --chown=hyenaprof /opt/wheels /opt/hyenaprof/wheels
RUN pip install -c constraints.txt /opt/hyenaprof/wheels/*.whl

# Whoever runs it may write here, and keeps caches (Triton's kernels, matplotlib's fonts) where anybody may write.
WORKDIR /measure
ENV HOME=/tmp
ENTRYPOINT ["hyenaprof"]
CMD ["--help"]
