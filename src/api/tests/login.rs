//! Bearer tokens as login servers make them: issuers, kinds, claims, clocks.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};

use super::auth::{FAR, SECRET, hs256, jwt_door_with, wallet_with};
use super::*;
use crate::api::{JwtKeySource, JwtSettings};

fn secret() -> JwtSettings {
    JwtSettings::new(JwtKeySource::Hs256Secret(SECRET.into()))
}

/// How many seconds from now.
fn from_now(seconds: i64) -> i64 {
    i64::try_from(get_current_timestamp()).unwrap() + seconds
}

#[tokio::test]
async fn f56_tokens_for_others_are_no_login() {
    let settings = JwtSettings { issuer: Some("https://us".into()), audience: Some("tickets".into()), ..secret() };
    let door = jwt_door_with(settings).await;
    let any = jwt_door_with(secret()).await;
    let of = |issuer: Value, audience: Value| json!({ "sub": "carol", "exp": FAR, "iss": issuer, "aud": audience });
    for (claims, status) in [
        (of(json!("https://us"), json!("tickets")), 200),
        (of(json!("https://us"), json!(["news", "tickets"])), 200),
        (of(json!("https://us"), json!("other-app")), 401),
        (of(json!("https://us"), json!(["other-app"])), 401),
        (of(json!("https://us"), json!([])), 401),
        (of(json!("https://us"), json!({ "tickets": true })), 401),
        (of(json!("https://us"), json!(null)), 401),
        (of(json!("https://us/"), json!("tickets")), 401),
        (of(json!("https://else"), json!("tickets")), 401),
        (of(json!(7), json!("tickets")), 401),
        (of(json!(null), json!("tickets")), 401),
        (json!({ "sub": "carol", "exp": FAR }), 401),
    ] {
        assert_eq!(wallet_with(&door, &hs256(claims.clone())).await.status, status, "{claims}");
        assert_eq!(wallet_with(&any, &hs256(claims.clone())).await.status, 200, "unchecked: {claims}");
    }
}

#[tokio::test]
async fn f56_other_kinds_of_tokens_are_no_login() {
    let door = jwt_door_with(secret()).await;
    let claims = json!({ "sub": "carol", "exp": FAR });
    let sign = |header: &Header| encode(header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    for (kind, status) in [
        (None, 200),
        (Some("JWT"), 200),
        (Some("jwt"), 200),
        (Some("at+jwt"), 200),
        (Some("application/at+JWT"), 200),
        (Some("logout+jwt"), 401),
        (Some("dpop+jwt"), 401),
        (Some(""), 401),
    ] {
        let header = Header { typ: kind.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        assert_eq!(wallet_with(&door, &sign(&header)).await.status, status, "{kind:?}");
    }
    let critical = Header { crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::HS256) };
    assert_eq!(wallet_with(&door, &sign(&critical)).await.status, 401);
}

#[tokio::test]
async fn f56_subjects_of_all_login_servers_are_users() {
    let door = jwt_door_with(secret()).await;
    let long = "x".repeat(128);
    for (subject, user) in [
        (json!("auth0|65a0c7"), "auth0|65a0c7"),
        (json!("google-oauth2|1029384756"), "google-oauth2|1029384756"),
        (json!("kim@example.com"), "kim@example.com"),
        (json!("urn:uuid:0b9f2d0e-0f5a-4a4e-9a3c-0d6b7c1f2a3b"), "urn:uuid:0b9f2d0e-0f5a-4a4e-9a3c-0d6b7c1f2a3b"),
        (json!(long), &long),
        (json!("김민수"), "김민수"),
        (json!(42), "42"),
        (json!(u64::MAX), "18446744073709551615"),
    ] {
        let answer = wallet_with(&door, &hs256(json!({ "sub": subject, "exp": FAR }))).await;
        assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!(user)), "{subject}");
    }
    let none =
        [json!(""), json!("a\u{200b}"), json!("x".repeat(129)), json!(1.5), json!(true), json!(["a"]), json!(null)];
    for subject in none {
        assert_eq!(wallet_with(&door, &hs256(json!({ "sub": subject, "exp": FAR }))).await.status, 401, "{subject}");
    }
}

#[tokio::test]
async fn f56_the_claims_of_user_and_roles_can_be_others() {
    let named = |user: &str, roles: &str| JwtSettings {
        user_claim: user.into(),
        roles_claim: roles.into(),
        admin_role: "tickets:boss".into(),
        ..secret()
    };
    let boss = json!(["staff", "tickets:boss"]);
    let cases = [
        (named("email", "groups"), json!({ "email": "kim@example.com", "groups": boss }), 201),
        (named("email", "groups"), json!({ "email": "kim@example.com", "groups": "staff tickets:boss" }), 201),
        (named("email", "groups"), json!({ "email": "kim@example.com", "roles": boss }), 403),
        (named("email", "groups"), json!({ "email": "kim@example.com", "groups": ["admin"] }), 403),
        (named("email", "groups"), json!({ "email": "kim@example.com", "groups": "staff,tickets:boss" }), 403),
        (named("email", "groups"), json!({ "sub": "kim", "groups": boss }), 401),
        (named("sub", "realm_access.roles"), json!({ "sub": "kim", "realm_access": { "roles": boss } }), 201),
        (named("sub", "a.b.roles"), json!({ "sub": "kim", "a": { "b": { "roles": boss } } }), 201),
        (named("sub", "a.b.roles"), json!({ "sub": "kim", "a": { "b": boss } }), 403),
        (named("sub", "a.roles"), json!({ "sub": "kim", "a.roles": boss, "a": { "roles": [] } }), 201),
        (named("sub", "a.roles"), json!({ "sub": "kim", "a.roles": [], "a": { "roles": boss } }), 403),
        (named("sub", "https://us.example/roles"), json!({ "sub": "kim", "https://us.example/roles": boss }), 201),
        (named("user.id", "roles"), json!({ "user": { "id": 7 }, "roles": boss }), 201),
    ];
    for (settings, mut claims, status) in cases {
        claims["exp"] = json!(FAR);
        let door = jwt_door_with(settings).await;
        let request = door.bare(Method::POST, "/v1/concerts").bearer_auth(hs256(claims.clone()));
        assert_eq!(send(request.json(&json!({ "title": "x" }))).await.status, status, "{claims}");
    }
}

#[tokio::test]
async fn a_cashier_is_one_by_token_too() {
    let settings = Settings {
        auth: crate::api::AuthSettings::Jwt(secret()),
        self_charge: crate::api::SelfCharge(false),
        ..Settings::default()
    };
    let door = Door::with(settings).await;
    let charge = |roles: Value| {
        let token = hs256(json!({ "sub": "till", "exp": FAR, "roles": roles }));
        let request =
            door.bare(Method::POST, "/v1/wallet/charges").bearer_auth(token).header("x-user-roles", "cashier");
        send(request.json(&json!({ "amount": 5, "user_id": "alice" })))
    };
    assert_eq!(charge(json!(["cashier"])).await.status, 202);
    assert_eq!(charge(json!(["door"])).await.status, 403, "the header counts in dev mode only");
}

#[tokio::test]
async fn f56_the_clock_of_the_login_server_may_be_off() {
    let door = jwt_door_with(secret()).await;
    let strict = jwt_door_with(JwtSettings { leeway: std::time::Duration::ZERO, ..secret() }).await;
    let later = from_now(600);
    for (claims, status, strictly) in [
        (json!({ "exp": later, "nbf": from_now(20) }), 200, 401),
        (json!({ "exp": later, "nbf": from_now(90) }), 401, 401),
        (json!({ "exp": from_now(-3) }), 200, 401),
        (json!({ "exp": from_now(-90) }), 401, 401),
        (json!({ "exp": later, "iat": from_now(300) }), 200, 200),
        (json!({ "exp": later as f64 + 0.5 }), 200, 200),
        (json!({ "exp": later.to_string() }), 401, 401),
        (json!({ "exp": -1 }), 401, 401),
        (json!({ "exp": later, "nbf": "now" }), 401, 401),
    ] {
        let mut whole = claims.clone();
        whole["sub"] = json!("carol");
        let token = hs256(whole);
        assert_eq!(wallet_with(&door, &token).await.status, status, "{claims}");
        assert_eq!(wallet_with(&strict, &token).await.status, strictly, "without leeway: {claims}");
    }
}
