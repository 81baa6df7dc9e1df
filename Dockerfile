# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
# TLS and SASL for Kafka (feature kafka-tls) need OpenSSL headers.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# For turnstile_build_info: the image has no history to ask.
ARG COMMIT=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    TURNSTILE_COMMIT=$COMMIT cargo build --locked --release --features kafka-tls,otel --bin turnstile \
    && cp target/release/turnstile /turnstile

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --home-dir /var/lib/turnstile --create-home --shell /usr/sbin/nologin turnstile
COPY --from=build /turnstile /usr/local/bin/turnstile
USER turnstile
WORKDIR /var/lib/turnstile
ENV TURNSTILE__DATA_DIR=/var/lib/turnstile
VOLUME /var/lib/turnstile
EXPOSE 8080
# The program handles SIGTERM, also as process 1.
ENTRYPOINT ["/usr/local/bin/turnstile"]
