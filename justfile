# `just` lists these; each is what the documents call for.

default:
    @just --list

# Everything that must hold before a change is accepted
verify:
    .ci/run

# Format, lints and the tests that need no services
quick:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Each seeded bug is found by the simulation
mutants *name:
    scripts/mutants {{name}}

# Kafka and PostgreSQL on loopback, and the variables the tests want
services:
    scripts/services up
    scripts/services env

# Stop them
services-down:
    scripts/services down

# Run on this machine with embedded log and store
run *args:
    cargo run --release -- {{args}}

# The whole thing on Kafka and PostgreSQL in containers
up:
    docker compose up --build --detach --wait
