//! Who is asking, in both modes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::*;
use crate::api::{AuthSettings, JwtKeySource, JwtSettings};

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub const FAR: i64 = 4_000_000_000;
/// Keys of the tests alone.
const ED_PRIVATE: &str = include_str!("keys/ed25519_private.pem");
const ED_PUBLIC: &str = include_str!("keys/ed25519_public.pem");
const RSA_PRIVATE: &str = include_str!("keys/rsa_private.pem");
const RSA_PUBLIC: &str = include_str!("keys/rsa_public.pem");

#[tokio::test]
async fn f32_dev_mode_believes_a_visible_user_id_only() {
    let door = Door::open().await;
    let answer = send(door.bare(Method::GET, "/v1/wallet")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthenticated"));
    assert!(!answer.header("www-authenticate").is_empty());
    let long = "x".repeat(129);
    for bad in [&b""[..], b"a\xff", "a\u{200b}".as_bytes(), b"a\tb", long.as_bytes()] {
        let name = reqwest::header::HeaderValue::from_bytes(bad).unwrap();
        let answer = send(door.bare(Method::GET, "/v1/wallet").header("x-user-id", name)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthenticated"), "{bad:?}");
    }
    for good in ["이름", "auth0|5f7c8e", "a b/c", &"ä".repeat(128)] {
        let name = reqwest::header::HeaderValue::from_bytes(good.as_bytes()).unwrap();
        let answer = send(door.bare(Method::GET, "/v1/wallet").header("x-user-id", name)).await;
        assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!(good)), "{good}");
    }
    let roles =
        |roles: &str| door.bare(Method::POST, "/v1/concerts").header("x-user-id", "a").header("x-user-roles", roles);
    for (given, status) in [("door admin", 201), ("cashier,admin", 201), ("cashier", 403), ("Admin", 403), ("", 403)] {
        assert_eq!(send(roles(given).json(&json!({ "title": "x" }))).await.status, status, "{given}");
    }
    let twice = door.bare(Method::GET, "/v1/wallet").header("x-user-id", "a").header("x-user-id", "b");
    assert_eq!(send(twice).await.status, 401);
}

pub fn hs256(claims: Value) -> String {
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

pub async fn jwt_door_with(settings: JwtSettings) -> Door {
    Door::with(Settings { auth: AuthSettings::Jwt(settings), ..Settings::default() }).await
}

async fn jwt_door(source: JwtKeySource) -> Door {
    jwt_door_with(JwtSettings::new(source)).await
}

pub async fn wallet_with(door: &Door, token: &str) -> Answer {
    send(door.bare(Method::GET, "/v1/wallet").header("authorization", format!("Bearer {token}"))).await
}

#[tokio::test]
async fn f32_a_signed_token_says_who_is_asking() {
    let door = jwt_door(JwtKeySource::Hs256Secret(SECRET.into())).await;
    let answer = wallet_with(&door, &hs256(json!({ "sub": "carol", "exp": FAR }))).await;
    assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!("carol")));
    let spoofed = door.bare(Method::GET, "/v1/wallet").header("x-user-id", "carol");
    assert_eq!(send(spoofed).await.status, 401);
}

#[tokio::test]
async fn f32_tokens_that_prove_nothing_are_refused() {
    let door = jwt_door(JwtKeySource::Hs256Secret(SECRET.into())).await;
    let claims = json!({ "sub": "carol", "exp": FAR });
    let other_key = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    for token in [
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        none,
        hs256(json!({ "sub": "carol", "exp": 1000 })),
        hs256(json!({ "sub": "carol" })),
        hs256(json!({ "exp": FAR })),
        hs256(json!({ "sub": "not\na user", "exp": FAR })),
        hs256(json!({ "sub": "carol", "exp": FAR, "nbf": FAR - 10 })),
        encode(&Header::new(Algorithm::HS256), &claims, &other_key).unwrap(),
        encode(&Header::new(Algorithm::HS384), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap(),
        hs256(claims.clone()).trim_end_matches(|c| c != '.').to_owned(),
    ] {
        let answer = wallet_with(&door, &token).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthenticated"), "{token}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let basic = door.bare(Method::GET, "/v1/wallet").header("authorization", "Basic YTpi");
    assert_eq!(send(basic).await.status, 401);
}

#[tokio::test]
async fn f32_a_public_key_is_never_taken_for_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let key = EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap();
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
    let mut jwk = serde_json::to_value(&jwk).unwrap();
    jwk["kid"] = json!("one");
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, json!({ "keys": [jwk] }).to_string()).unwrap();
    let door = jwt_door(JwtKeySource::JwksFile(file)).await;

    let claims = json!({ "sub": "carol", "exp": FAR });
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("one".into());
    assert_eq!(wallet_with(&door, &encode(&header, &claims, &key).unwrap()).await.status, 200);
    header.kid = None;
    assert_eq!(wallet_with(&door, &encode(&header, &claims, &key).unwrap()).await.status, 200);
    header.kid = Some("two".into());
    assert_eq!(wallet_with(&door, &encode(&header, &claims, &key).unwrap()).await.status, 401);

    let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    let forged = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&public)).unwrap();
    assert_eq!(wallet_with(&door, &forged).await.status, 401);
}

#[tokio::test]
async fn f32_a_public_key_file_decides_the_algorithm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let claims = json!({ "sub": "carol", "exp": FAR, "roles": ["staff"] });
    let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let ed = EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap();
    let rs256 = encode(&Header::new(Algorithm::RS256), &claims, &rsa).unwrap();
    let rs512 = encode(&Header::new(Algorithm::RS512), &claims, &rsa).unwrap();
    let eddsa = encode(&Header::new(Algorithm::EdDSA), &claims, &ed).unwrap();
    for (public, good, bad) in [(RSA_PUBLIC, &rs256, &eddsa), (ED_PUBLIC, &eddsa, &rs256)] {
        std::fs::write(&file, public).unwrap();
        let door = jwt_door(JwtKeySource::PublicKeyFile(file.clone())).await;
        assert_eq!(wallet_with(&door, good).await.status, 200);
        let as_secret = EncodingKey::from_secret(public.as_bytes());
        let forged = encode(&Header::new(Algorithm::HS256), &claims, &as_secret).unwrap();
        for token in [bad, &rs512, &forged] {
            assert_eq!(wallet_with(&door, token).await.problem(), "unauthenticated");
        }
        let admins = door.bare(Method::POST, "/v1/concerts").bearer_auth(good).json(&json!({ "title": "x" }));
        assert_eq!(send(admins).await.problem(), "forbidden");
    }
}

#[tokio::test]
async fn f32_the_role_admin_may_be_one_of_several() {
    let door = jwt_door(JwtKeySource::Hs256Secret(SECRET.into())).await;
    for roles in [json!("admin"), json!("staff admin"), json!(["staff", "admin"])] {
        let token = hs256(json!({ "sub": "carol", "exp": FAR, "roles": roles }));
        let request = door.bare(Method::POST, "/v1/concerts").bearer_auth(token).json(&json!({ "title": "x" }));
        assert_eq!(send(request).await.status, 201, "{roles}");
    }
    for roles in [json!("administrator"), json!({ "admin": true }), json!([["admin"]]), json!(true)] {
        let token = hs256(json!({ "sub": "admin", "exp": FAR, "roles": roles }));
        let request = door.bare(Method::POST, "/v1/concerts").bearer_auth(token).json(&json!({ "title": "x" }));
        assert_eq!(send(request).await.status, 403, "{roles}");
    }
}

#[test]
fn settings_that_protect_nothing_are_refused() {
    let settings = |source| AuthSettings::Jwt(JwtSettings::new(source));
    let refused = |settings: &AuthSettings| crate::api::http::auth::Authenticator::new(settings).is_err();
    assert!(refused(&settings(JwtKeySource::Hs256Secret("short".into()))));
    assert!(refused(&settings(JwtKeySource::PublicKeyFile("/nowhere".into()))));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty");
    std::fs::write(&file, "{\"keys\":[]}").unwrap();
    assert!(refused(&settings(JwtKeySource::JwksFile(file.clone()))));
    assert!(refused(&settings(JwtKeySource::PublicKeyFile(file))));
}
