# SPDX-License-Identifier: Apache-2.0
# The image of scripts/image, for who has a container engine; amd64 and arm64:
#   docker build -t REPOSITORY/dra-driver-sriov:TAG .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REPOSITORY/dra-driver-sriov:TAG --push .
# What is for another architecture than the machine's is compiled across, so nothing is emulated. Needs BuildKit, which Docker
# has used since version 23, or buildah.
FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS build
ARG TARGETARCH
RUN apt-get update && apt-get install -y --no-install-recommends binutils ca-certificates git python3
COPY scripts/install-packages /source/scripts/install-packages
RUN /source/scripts/install-packages --architecture "$TARGETARCH" build
COPY . /source
RUN DRASRIOV_BUILD_DIR=/build /source/scripts/image --architecture "$TARGETARCH" --rootfs /rootfs

FROM scratch
COPY --from=build /rootfs/ /
ENV PATH=/usr/bin
LABEL org.opencontainers.image.title="dra-driver-sriov" \
      org.opencontainers.image.description="DRA driver for virtual functions of SR-IOV network devices" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/bin/dra-driver-sriov"]
CMD ["run"]
