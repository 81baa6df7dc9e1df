use super::*;

fn with_env(pairs: &[(&str, &str)]) -> Result<(Layers, Config), ConfigError> {
    let owned = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let layers = layers(None, owned)?;
    let config = Config::read(&layers)?;
    Ok((layers, config))
}

/// Two, as the configuration has them.
const SEEDS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn refusal(pairs: &[(&str, &str)]) -> String {
    with_env(pairs).expect_err("must be refused").to_string()
}

#[test]
fn the_defaults_alone_are_right() {
    let (layers, config) = with_env(&[]).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.log.partitions.seats, config.log.partitions.wallets, config.log.partitions.queues), (4, 4, 2));
    config.check(&layers, Needs { http: true, shared: false }).unwrap();
}

#[test]
fn kafka_has_more_partitions_by_default() {
    let (_, config) = with_env(&[("TURNSTILE__LOG__BROKERS", "k:9092")]).unwrap();
    assert_eq!((config.log.partitions.seats, config.log.partitions.wallets, config.log.partitions.queues), (16, 16, 8));
    assert_eq!((config.log.partitions.outcomes, config.log.partitions.dead_letters), (16, 1));
}

#[test]
fn the_environment_overrides_the_file_and_the_file_the_defaults() {
    let mut layers = Layers::defaults(DEFAULTS).unwrap();
    layers.add_file("t.toml", "data_dir = \"/file\"\n[http]\nlisten = \"127.0.0.1:1\"\nuser_burst = 7\n").unwrap();
    let variable = ("TURNSTILE__HTTP__LISTEN".to_owned(), "127.0.0.1:2".to_owned());
    layers.add_env([variable].into_iter()).unwrap();
    let config = Config::read(&layers).unwrap();
    assert_eq!(config.data_dir, Path::new("/file"));
    assert_eq!(config.http.listen.port(), 2);
    assert_eq!(config.http.user_burst, 7);
    assert_eq!(layers.source("http.user_burst"), Source::File("t.toml".to_owned()));
}

#[test]
fn the_variables_of_opentelemetry_count_where_nothing_else_is_said() {
    let standard = [
        ("OTEL_SERVICE_NAME", "tickets"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
    ];
    let (layers, config) = with_env(&standard).unwrap();
    assert_eq!((config.traces.service.as_str(), config.traces.per_million), ("tickets", 250_000));
    // A build without the feature ignores what may be meant for others.
    let endpoint = cfg!(feature = "otel").then(|| "http://collector:4318".to_owned());
    assert_eq!(config.traces.endpoint, endpoint);
    assert_eq!(layers.source("telemetry.service_name"), Source::Env("OTEL_SERVICE_NAME".to_owned()));
    let ours = [("TURNSTILE__TELEMETRY__TRACE_RATIO", "0.5"), standard[1], ("OTEL_SERVICE_NAME", "")];
    let (_, config) = with_env(&ours).unwrap();
    assert_eq!((config.traces.service.as_str(), config.traces.per_million), ("turnstile", 500_000));
    // The argument of another sampler is no ratio.
    let (_, config) = with_env(&[("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_TRACES_SAMPLER_ARG", "x")]).unwrap();
    assert_eq!(config.traces.per_million, 10_000);
    let mut layers = Layers::defaults(DEFAULTS).unwrap();
    layers.add_file("t.toml", "[telemetry]\nservice_name = \"shop\"\n").unwrap();
    layers.add_env([("OTEL_SERVICE_NAME".to_owned(), "tickets".to_owned())].into_iter()).unwrap();
    assert_eq!(Config::read(&layers).unwrap().traces.service, "shop");
}

#[test]
fn kafka_settings_come_by_environment_and_by_file() {
    let mut layers = Layers::defaults(DEFAULTS).unwrap();
    layers.add_file("t.toml", "[log]\nbrokers='k:1'\n[log.kafka]\n\"linger.ms\" = 3\nsecurity.protocol='SSL'").unwrap();
    let variable = ("TURNSTILE__LOG__KAFKA__SASL_USERNAME".to_owned(), "me".to_owned());
    layers.add_env([variable].into_iter()).unwrap();
    let kafka = Config::read(&layers).unwrap().log.kafka;
    let expected = [("linger.ms", "3"), ("sasl.username", "me"), ("security.protocol", "SSL")];
    assert_eq!(kafka, expected.map(|(name, value)| (name.to_owned(), Secret::new(value))).into());
}

#[test]
fn what_is_wrong_is_refused_with_its_source_and_key() {
    let secret = "0123456789abcdef0123456789abcdef";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("TURNSTILE__HTTP__LISTENN", "x")], "environment TURNSTILE__HTTP__LISTENN: http.listenn is not a known key"),
        (&[("TURNSTILE__HTTP__LISTEN", "here")], "environment TURNSTILE__HTTP__LISTEN: http.listen is \"here\""),
        (&[("TURNSTILE__HTTP__USER_BURST", "many")], "http.user_burst must be a whole number"),
        (&[("TURNSTILE__HTTP__USER_BURST", "0")], "http.user_burst is 0, must be 1 to 1000000"),
        (&[("TURNSTILE__HTTP", "x")], "http is not a known key"),
        (&[("TURNSTILE__DEMO__ON_FIRST_START", "yes")], "demo.on_first_start must be true or false"),
        (&[("TURNSTILE__HTTP__OPS_LISTEN", "9090")], "http.ops_listen is \"9090\", must be an address and a port"),
        (&[("TURNSTILE__HTTP__CORS_ORIGINS", "shop.example")], "http.cors_origins has \"shop.example\""),
        (&[("TURNSTILE__HTTP__CORS_ORIGINS", "https://a.example/")], "http.cors_origins has \"https://a.example/\""),
        (&[("TURNSTILE__HTTP__CORS_ORIGINS", "*, https://a.example")], "http.cors_origins has \"*\""),
        (&[("TURNSTILE__HTTP__TRUSTED_PROXIES", "10.0.0.0/33")], "http.trusted_proxies has \"10.0.0.0/33\""),
        (&[("TURNSTILE__HTTP__TRUSTED_PROXIES", "::1, proxy")], "http.trusted_proxies has \"proxy\""),
        (&[("TURNSTILE__HTTP__USER_REQUESTS_BURST", "0")], "http.user_requests_burst is 0, must be 1 to 1000000"),
        (&[("TURNSTILE__HTTP__PUBLIC_URL", "/api")], "http.public_url is \"/api\""),
        (&[("TURNSTILE__HTTP__PUBLIC_URL", "https://a.example/?x")], "http.public_url is \"https://a.example/?x\""),
        (&[("TURNSTILE__AUTH__MODE", "none")], "auth.mode is \"none\", must be \"dev\" or \"jwt\""),
        (&[("TURNSTILE__AUTH__MODE", "jwt")], "auth.mode is \"jwt\", which needs one of"),
        (&[("TURNSTILE__AUTH__HS256_SECRET", secret)], "auth.hs256_secret is of no use with auth.mode \"dev\""),
        (&[("TURNSTILE__AUTH__MODE", "jwt"), ("TURNSTILE__AUTH__HS256_SECRET", "x")], "is shorter than 32 bytes"),
        (
            &[
                ("TURNSTILE__AUTH__MODE", "jwt"),
                ("TURNSTILE__AUTH__HS256_SECRET", secret),
                ("TURNSTILE__AUTH__JWKS_FILE", "/k"),
            ],
            "auth.jwks_file contradicts auth.hs256_secret: give exactly one key source",
        ),
        (
            &[("TURNSTILE__TICKETS__SIGNING_SECRETS", "short")],
            "tickets.signing_secrets must be seeds of 32 bytes in base64",
        ),
        (&[("TURNSTILE__AUTH__ISSUER", "https://us")], "auth.issuer is of no use with auth.mode \"dev\""),
        (&[("TURNSTILE__AUTH__AUDIENCE", "tickets")], "auth.audience is of no use with auth.mode \"dev\""),
        (&[("TURNSTILE__AUTH__USER_CLAIM", " ")], "auth.user_claim must not be empty"),
        (&[("TURNSTILE__AUTH__ROLES_CLAIM", "")], "auth.roles_claim must not be empty"),
        (&[("TURNSTILE__AUTH__ADMIN_ROLE", "door")], "auth.admin_role is \"door\", which is another role"),
        (&[("TURNSTILE__AUTH__LEEWAY_SECONDS", "301")], "auth.leeway_seconds is 301, must be 0 to 300"),
        (&[("TURNSTILE__WALLET__SELF_CHARGE", "yes")], "must be \"auto\" or \"on\" or \"off\""),
        (
            &[("TURNSTILE__WORKER__DRAIN_DEADLINE_MS", "3000")],
            "must be below half of worker.session_timeout_ms (6000 ms)",
        ),
        (&[("TURNSTILE__SHUTDOWN__DEADLINE_SECONDS", "1")], "must be longer than worker.drain_deadline_ms"),
        (&[("TURNSTILE__OUTBOX__RELAY", "external")], "outbox.slot is empty, but with outbox.relay \"external\""),
        (&[("TURNSTILE__OUTBOX__SLOT", "cdc")], "outbox.slot is \"cdc\", but outbox.relay is \"worker\""),
        (
            &[("TURNSTILE__OUTBOX__RELAY", "external"), ("TURNSTILE__OUTBOX__SLOT", "A-1")],
            "outbox.slot is \"A-1\", must be up to 63 of a-z, 0-9 and _",
        ),
        (&[("TURNSTILE__DATABASE__URL", "mysql://x")], "database.url must start with postgres://"),
        (&[("TURNSTILE__DATABASE__SCHEMA", "a b")], "database.schema is \"a b\""),
        (&[("TURNSTILE__LOG__TOPIC_PREFIX", "a/b")], "log.topic_prefix is \"a/b\""),
        (&[("TURNSTILE__LOG__GROUP", "turnstile workers/ü")], "log.group is \"turnstile workers/ü\""),
        (&[("TURNSTILE__LOG__KAFKA__LINGER_MS", "1")], "log.kafka.linger.ms is of no use without log.brokers"),
        (
            &[("TURNSTILE__LOG__BROKERS", "k:1"), ("TURNSTILE__LOG__KAFKA__ACKS", "0")],
            "log.kafka.acks is set by Turnstile and cannot be changed: a command that was accepted must be on the log",
        ),
        (
            &[("TURNSTILE__LOG__BROKERS", "k:1"), ("TURNSTILE__LOG__KAFKA__ISOLATION_LEVEL", "read_uncommitted")],
            "log.kafka.isolation.level is set by Turnstile and cannot be changed: records of aborted transactions",
        ),
        (
            &[("TURNSTILE__LOG__BROKERS", "k:1"), ("TURNSTILE__LOG__KAFKA__SESSION_TIMEOUT_MS", "1")],
            "log.kafka.session.timeout.ms is set by Turnstile and cannot be changed: has a setting of its own",
        ),
        (&[("TURNSTILE__TELEMETRY__LOG_FILTER", "a=b=c")], "telemetry.log_filter is \"a=b=c\""),
    ];
    for (environment, expected) in cases {
        let refusal = refusal(environment);
        assert!(refusal.contains(expected), "{refusal:?} should say {expected:?}");
        assert!(!refusal.contains(secret) && !refusal.contains('\n'), "{refusal:?}");
    }
}

#[test]
fn a_file_with_an_unknown_key_or_broken_toml_is_refused() {
    let mut layers = Layers::defaults(DEFAULTS).unwrap();
    let unknown = layers.add_file("t.toml", "[worker]\nthreads = 3\n").unwrap_err().to_string();
    assert_eq!(unknown, "configuration: file t.toml: worker.threads is not a known key");
    let wrong = layers.add_file("t.toml", "[http]\nlisten = 8080\n").unwrap_err().to_string();
    assert_eq!(wrong, "configuration: file t.toml: http.listen must be text");
    let broken = layers.add_file("t.toml", "a = 1\nb = \n").unwrap_err().to_string();
    assert!(broken.starts_with("configuration: file t.toml: line 2 is not TOML"), "{broken}");
}

#[test]
fn dev_mode_is_refused_where_others_can_reach_it() {
    let (layers, config) = with_env(&[("TURNSTILE__HTTP__LISTEN", "0.0.0.0:8080")]).unwrap();
    // A worker has operations for admins, so it is no exception.
    for http in [true, false] {
        let refused = config.check(&layers, Needs { http, shared: false }).unwrap_err().to_string();
        assert!(refused.contains("environment TURNSTILE__HTTP__LISTEN: http.listen is 0.0.0.0:8080"), "{refused}");
    }
    let (layers, config) = with_env(&[("TURNSTILE__HTTP__OPS_LISTEN", "[::]:9090")]).unwrap();
    let refused = config.check(&layers, Needs { http: true, shared: false }).unwrap_err().to_string();
    assert!(refused.contains("http.ops_listen is [::]:9090, which others can reach"), "{refused}");
}

#[test]
fn users_charge_themselves_in_dev_mode_or_where_it_is_on() {
    let jwt = [("TURNSTILE__AUTH__MODE", "jwt"), ("TURNSTILE__AUTH__JWKS_FILE", "/k")];
    for (mode, setting, expected) in
        [(&jwt[..0], "auto", true), (&jwt[..0], "off", false), (&jwt[..], "auto", false), (&jwt[..], "on", true)]
    {
        let environment = [mode, &[("TURNSTILE__WALLET__SELF_CHARGE", setting)]].concat();
        assert_eq!(with_env(&environment).unwrap().1.wallet.self_charge, expected, "{environment:?}");
    }
}

#[test]
fn what_is_not_checked_of_a_login_servers_tokens_is_known() {
    let jwks = [("TURNSTILE__AUTH__MODE", "jwt"), ("TURNSTILE__AUTH__JWKS_FILE", "/k")];
    let unchecked = |further: &[(&'static str, &'static str)]| {
        with_env(&[&jwks[..], further].concat()).unwrap().1.auth.unchecked().join(" ")
    };
    let (issuer, audience) = (("TURNSTILE__AUTH__ISSUER", "https://us"), ("TURNSTILE__AUTH__AUDIENCE", "tickets"));
    assert_eq!(unchecked(&[]), "auth.issuer auth.audience");
    assert_eq!(unchecked(&[issuer]), "auth.audience");
    assert_eq!(unchecked(&[audience]), "auth.issuer");
    assert_eq!(unchecked(&[issuer, audience]), "");
    let secret = "0123456789abcdef0123456789abcdef";
    let (_, own) = with_env(&[("TURNSTILE__AUTH__MODE", "jwt"), ("TURNSTILE__AUTH__HS256_SECRET", secret)]).unwrap();
    assert!(own.auth.unchecked().is_empty(), "a secret signs for nobody else");
}

#[test]
fn a_single_role_needs_kafka_postgresql_and_a_shared_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    let mut environment = vec![("TURNSTILE__AUTH__MODE", "jwt"), ("TURNSTILE__AUTH__HS256_SECRET", secret)];
    let steps = [
        ("log.brokers", "TURNSTILE__LOG__BROKERS", "k:9092"),
        ("database.url", "TURNSTILE__DATABASE__URL", "postgres://h/d"),
        ("auth.queue_token_secret", "TURNSTILE__AUTH__QUEUE_TOKEN_SECRET", secret),
        ("tickets.signing_secrets", "TURNSTILE__TICKETS__SIGNING_SECRETS", SEEDS),
    ];
    for (key, name, value) in steps {
        let (layers, config) = with_env(&environment).unwrap();
        let refused = config.check(&layers, Needs { http: true, shared: true }).unwrap_err().to_string();
        assert!(refused.contains(&format!("{key} is empty")), "{refused}");
        environment.push((name, value));
    }
    let (layers, config) = with_env(&environment).unwrap();
    config.check(&layers, Needs { http: true, shared: true }).unwrap();
}

#[test]
fn the_outbox_is_captured_from_postgresql_to_kafka_alone() {
    let mut environment =
        vec![("TURNSTILE__OUTBOX__RELAY", "external"), ("TURNSTILE__OUTBOX__SLOT", "turnstile_outbox")];
    let needs = Needs { http: false, shared: false };
    for (missing, name, value) in [
        ("which needs PostgreSQL", "TURNSTILE__DATABASE__URL", "postgres://h/d"),
        ("which needs Kafka", "TURNSTILE__LOG__BROKERS", "k:9092"),
    ] {
        let (layers, config) = with_env(&environment).unwrap();
        let refused = config.check(&layers, needs).unwrap_err().to_string();
        assert!(refused.contains("outbox.relay is \"external\"") && refused.contains(missing), "{refused}");
        environment.push((name, value));
    }
    let (layers, config) = with_env(&environment).unwrap();
    config.check(&layers, needs).unwrap();
    assert_eq!(config.worker.capture_slot.as_deref(), Some("turnstile_outbox"));
}

#[test]
fn secrets_are_never_shown() {
    let (layers, config) = with_env(&[
        ("TURNSTILE__LOG__BROKERS", "k:9092"),
        ("TURNSTILE__LOG__KAFKA__SASL_PASSWORD", "hunter2-kafka"),
        ("TURNSTILE__DATABASE__URL", "postgres://me:hunter2@h/d?sslpassword=hunter2&a=b"),
        ("TURNSTILE__AUTH__QUEUE_TOKEN_SECRET", "hunter2-0123456789abcdef0123456789abcdef"),
        ("TURNSTILE__TICKETS__SIGNING_SECRETS", SEEDS),
    ])
    .unwrap();
    assert_eq!(config.tickets.seeds.as_ref().map(|seeds| seeds.0.len()), Some(2));
    let shown = show(&layers);
    assert!(shown.contains("signing_secrets = \"***\""), "{shown}");
    assert!(!shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{shown}\n{config:?}");
    assert!(shown.contains("url = \"postgres://me:***@h/d?sslpassword=***&a=b\""), "{shown}");
    assert!(shown.contains("brokers = \"k:9092\"  # environment TURNSTILE__LOG__BROKERS"), "{shown}");
    assert!(shown.contains("[log.kafka]\n\"sasl.password\" = \"***\""), "{shown}");
}

#[test]
fn what_is_shown_can_be_read_back() {
    let (layers, config) = with_env(&[("TURNSTILE__HTTP__USER_BURST", "12")]).unwrap();
    let mut again = Layers::defaults(DEFAULTS).unwrap();
    again.add_file("shown.toml", &show(&layers)).unwrap();
    assert_eq!(Config::read(&again).unwrap(), config);
}

#[test]
fn every_key_of_the_defaults_is_read() {
    let (layers, _) = with_env(&[]).unwrap();
    for key in layers.values.keys() {
        let mut without = layers.clone();
        without.values.remove(key);
        assert!(Config::read(&without).is_err(), "nothing reads {key}");
    }
}
