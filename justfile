# `just` lists the recipes.

default:
    @just --list

# All checks a change must pass (starts Kafka and PostgreSQL)
verify:
    .ci/run

# Format, lints and all tests that need no services
quick:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Check that the simulation finds each seeded bug, or the one named
mutants *name:
    scripts/mutants {{name}}

# Start Kafka and PostgreSQL on loopback and print the variables for the tests
services:
    scripts/services up
    scripts/services env

# Stop Kafka and PostgreSQL
services-down:
    scripts/services down

# Run with embedded log and store
run *args:
    cargo run --release -- {{args}}

# Run on Kafka and PostgreSQL in containers
up:
    docker compose up --build --detach --wait
