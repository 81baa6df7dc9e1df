//! Which keys are taken, and which are passed over or refused.

use serde_json::json;

use super::*;

const ED_PUBLIC: &str = include_str!("../../../tests/keys/ed25519_public.pem");
const RSA_PUBLIC: &str = include_str!("../../../tests/keys/rsa_public.pem");
const RSA_PRIVATE: &str = include_str!("../../../tests/keys/rsa_private.pem");
const P256_PUBLIC: &str = include_str!("../../../tests/keys/p256_public.pem");
const P256_PRIVATE: &str = include_str!("../../../tests/keys/p256_private.pem");
const P384_PUBLIC: &str = include_str!("../../../tests/keys/p384_public.pem");
const RSA_1024_PUBLIC: &str = include_str!("../../../tests/keys/rsa_1024_public.pem");
const STRANGER: &str = include_str!("../../../tests/keys/pyjwt.json");

fn pem(content: &str) -> Result<Algorithm, String> {
    let keys = parse(&JwtKeySource::PublicKeyFile("k.pem".into()), content.as_bytes());
    keys.map(|keys| keys[0].algorithm).map_err(|error| error.0)
}

fn set(keys: Value) -> Result<Vec<String>, String> {
    let json = json!({ "keys": keys }).to_string();
    let keys = parse(&JwtKeySource::JwksFile("k.json".into()), json.as_bytes()).map_err(|error| error.0)?;
    Ok(keys.into_iter().map(|key| format!("{:?} {}", key.algorithm, key.id.unwrap_or_default())).collect())
}

#[test]
fn a_public_key_file_holds_a_public_key_of_a_safe_kind() {
    assert_eq!(pem(RSA_PUBLIC), Ok(Algorithm::RS256));
    assert_eq!(pem(P256_PUBLIC), Ok(Algorithm::ES256));
    assert_eq!(pem(ED_PUBLIC), Ok(Algorithm::EdDSA));
    for (refused, why) in [
        (RSA_1024_PUBLIC, "an RSA key must have 2048 to 4096 bits"),
        (P384_PUBLIC, "an elliptic curve key must be on P-256"),
        (RSA_PRIVATE, "it is not a public key"),
        (P256_PRIVATE, "neither an RSA, a P-256 nor an Ed25519 public key"),
        ("", "neither an RSA, a P-256 nor an Ed25519 public key"),
    ] {
        let error = pem(refused).unwrap_err();
        assert!(error.contains(why), "{error:?} should say {why:?}");
    }
}

#[test]
fn keys_that_are_not_for_signatures_here_are_passed_over() {
    let stranger: Value = serde_json::from_str(STRANGER).unwrap();
    let [rsa, ec, ed] = [0, 2, 3].map(|at: usize| stranger["jwks"]["keys"][at].clone());
    let other = |key: &Value, member: &str, value: Value| {
        let mut key = key.clone();
        key[member] = value;
        key
    };
    let small = DecodingKey::from_rsa_pem(RSA_1024_PUBLIC.as_bytes()).unwrap();
    let passed_over = [
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "pq" }),
        json!({ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "alg": "HS256" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": ed["x"] }),
        json!({ "kty": "EC", "crv": "P-384", "x": ec["x"], "y": ec["y"] }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": ec["x"], "y": ec["y"] }),
        json!(7),
        other(&rsa, "use", json!("enc")),
        other(&rsa, "use", json!("other")),
        other(&rsa, "key_ops", json!(["encrypt", "wrapKey"])),
        other(&rsa, "alg", json!("RSA-OAEP")),
        other(&rsa, "alg", json!("PS256")),
        other(&rsa, "kid", json!(7)),
        other(&rsa, "n", json!("")),
        other(&rsa, "n", json!("!")),
        serde_json::to_value(Jwk::from_decoding_key(&small, None).unwrap()).unwrap(),
        other(&ec, "x", json!("AAAA")),
        other(&ec, "y", ec["x"].clone()),
        // The library panics on this one when it is used.
        other(&ed, "x", json!("AAAA")),
    ];
    for key in &passed_over {
        let error = set(json!([key])).unwrap_err();
        assert!(error.contains("no key for RS256, ES256 or EdDSA"), "{key}: {error}");
    }
    let good = [rsa, ec, ed];
    let all: Vec<&Value> = passed_over.iter().chain(&good).collect();
    assert_eq!(set(json!(all)).unwrap(), ["RS256 rsa-1", "ES256 ec-1", "EdDSA ed-1"]);
}

#[test]
fn a_file_of_another_kind_or_without_bound_is_refused() {
    let source = JwtKeySource::JwksFile("k.json".into());
    for content in ["", "{}", "[]", "{\"keys\":{}}", ED_PUBLIC] {
        assert!(parse(&source, content.as_bytes()).is_err(), "{content}");
    }
    let many = vec![json!({}); KEYS_MAX + 1];
    assert!(set(json!(many)).unwrap_err().contains("more than 64 keys"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let size = usize::try_from(FILE_BYTES_MAX).unwrap();
    std::fs::write(&path, vec![b' '; size]).unwrap();
    assert_eq!(read(&path).unwrap().len(), size);
    std::fs::write(&path, vec![b' '; size + 1]).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("larger"));
}
