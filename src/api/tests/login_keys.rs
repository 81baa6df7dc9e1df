//! Keys of login servers: of every algorithm, from another library, and as they change.

use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::auth::{FAR, jwt_door_with, wallet_with};
use super::*;
use crate::api::{JwtKeySource, JwtSettings};

/// Key set and tokens, made with another library.
const STRANGER: &str = include_str!("keys/pyjwt.json");
const P256_PRIVATE: &str = include_str!("keys/p256_private.pem");
const P256_PUBLIC: &str = include_str!("keys/p256_public.pem");
const ED_PRIVATE: &str = include_str!("keys/ed25519_private.pem");
const RSA_PRIVATE: &str = include_str!("keys/rsa_private.pem");

/// A key set in a directory of its own.
struct Keys {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Keys {
    fn new(set: &Value) -> Keys {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys { path: folder.path().join("jwks.json"), _folder: folder };
        keys.replace(set);
        keys
    }

    /// By rename, as Kubernetes does it.
    fn replace(&self, set: &Value) {
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, set.to_string()).unwrap();
        std::fs::rename(beside, &self.path).unwrap();
    }

    async fn door(&self) -> Door {
        jwt_door_with(JwtSettings::new(JwtKeySource::JwksFile(self.path.clone()))).await
    }
}

#[tokio::test]
async fn f56_tokens_of_another_library_are_logins() {
    let stranger: Value = serde_json::from_str(STRANGER).unwrap();
    let settings = JwtSettings {
        issuer: Some("https://login.example.com/".into()),
        audience: Some("tickets".into()),
        ..JwtSettings::new(JwtKeySource::JwksFile(Path::new("/nowhere").into()))
    };
    let tokens = stranger["tokens"].as_array().unwrap();
    let try_all = async |keys: &Keys, expected: &dyn Fn(&Value) -> u16| {
        let keys = JwtKeySource::JwksFile(keys.path.clone());
        let door = jwt_door_with(JwtSettings { keys, ..settings.clone() }).await;
        for token in tokens {
            let answer = wallet_with(&door, token["token"].as_str().unwrap()).await;
            assert_eq!(answer.status, expected(token), "{token}: {answer:?}");
        }
    };
    // RS256, ES256 and EdDSA, with `kid` and without, the second of two RSA keys included.
    assert_eq!(tokens.len(), 8);
    let mut set = stranger["jwks"].clone();
    try_all(&Keys::new(&set), &|_| 200).await;
    // Keys without an id fit every token of their algorithm.
    set["keys"].as_array_mut().unwrap().iter_mut().for_each(|key| drop(key.as_object_mut().unwrap().remove("kid")));
    try_all(&Keys::new(&set), &|_| 200).await;
    // Only the elliptic curve key is left.
    set["keys"].as_array_mut().unwrap().retain(|key| key["kty"] == "EC");
    try_all(&Keys::new(&set), &|token| if token["alg"] == "ES256" { 200 } else { 401 }).await;
    // A key for encryption is passed over, though it comes first and would fit.
    let mut set = stranger["jwks"].clone();
    set["keys"][0]["use"] = json!("enc");
    set["keys"][0].as_object_mut().unwrap().remove("key_ops");
    let first = tokens[0]["kid"].clone();
    let expected = |token: &Value| if *token == tokens[0] || *token == tokens[1] { 401 } else { 200 };
    assert_eq!(first, set["keys"][0]["kid"]);
    try_all(&Keys::new(&set), &expected).await;
}

struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn all() -> [Signer; 3] {
        let ed = EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap();
        let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
        let p256 = EncodingKey::from_ec_pem(P256_PRIVATE.as_bytes()).unwrap();
        [
            Signer { id: "a", algorithm: Algorithm::EdDSA, key: ed },
            Signer { id: "b", algorithm: Algorithm::RS256, key: rsa },
            Signer { id: "c", algorithm: Algorithm::ES256, key: p256 },
        ]
    }

    fn public(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.id);
        jwk
    }

    fn token(&self) -> String {
        let header = Header { kid: Some(self.id.into()), ..Header::new(self.algorithm) };
        encode(&header, &json!({ "sub": "carol", "exp": FAR }), &self.key).unwrap()
    }
}

#[tokio::test]
async fn f56_a_new_key_is_known_at_its_first_token_and_an_old_one_forgotten() {
    let [a, b, c] = Signer::all();
    let keys = Keys::new(&json!({ "keys": [a.public()] }));
    let door = keys.door().await;
    assert_eq!(wallet_with(&door, &a.token()).await.status, 200);

    keys.replace(&json!({ "keys": [a.public(), b.public()] }));
    let (token, crowd) = (b.token(), 20);
    let answers = futures_util::future::join_all((0..crowd).map(|_| wallet_with(&door, &token))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "all who come while the file is read");
    assert_eq!(wallet_with(&door, &a.token()).await.status, 200);

    // The file was read a moment ago for an unknown key; SIGHUP does not wait.
    keys.replace(&json!({ "keys": [c.public()] }));
    assert_eq!(wallet_with(&door, &c.token()).await.status, 401);
    door.state.reload().await;
    assert_eq!(wallet_with(&door, &c.token()).await.status, 200);
    assert_eq!(wallet_with(&door, &a.token()).await.status, 401);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_takes_no_key_away() {
    let [a, b, _] = Signer::all();
    let keys = Keys::new(&json!({ "keys": [a.public()] }));
    let door = keys.door().await;
    for broken in [json!({ "keys": [] }), json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }), json!("no set")] {
        keys.replace(&broken);
        door.state.reload().await;
        assert_eq!(wallet_with(&door, &a.token()).await.status, 200, "{broken}");
    }
    std::fs::remove_file(&keys.path).unwrap();
    door.state.reload().await;
    assert_eq!(wallet_with(&door, &a.token()).await.status, 200);
    keys.replace(&json!({ "keys": [b.public()] }));
    door.state.reload().await;
    assert_eq!(wallet_with(&door, &b.token()).await.status, 200);
}

#[tokio::test]
async fn a_public_key_file_is_read_again_too() {
    let [a, b, c] = Signer::all();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::fs::write(&path, P256_PUBLIC).unwrap();
    let door = jwt_door_with(JwtSettings::new(JwtKeySource::PublicKeyFile(path.clone()))).await;
    assert_eq!(wallet_with(&door, &c.token()).await.status, 200);
    std::fs::write(&path, include_str!("keys/ed25519_public.pem")).unwrap();
    assert_eq!(wallet_with(&door, &a.token()).await.status, 200);
    for old in [b, c] {
        assert_eq!(wallet_with(&door, &old.token()).await.status, 401);
    }
}
