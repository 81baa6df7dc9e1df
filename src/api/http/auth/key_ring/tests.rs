//! When the file is read.

use std::path::PathBuf;

use tokio::time::advance;

use super::*;

const FIRST: &str = include_str!("../../../tests/keys/ed25519_public.pem");
const SECOND: &str = include_str!("../../../tests/keys/p256_public.pem");
const THIRD: &str = include_str!("../../../tests/keys/rsa_public.pem");

/// A ring whose file has the first key.
fn ring() -> (tempfile::TempDir, PathBuf, KeyRing) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::fs::write(&path, FIRST).unwrap();
    let ring = KeyRing::open(&JwtKeySource::PublicKeyFile(path.clone())).unwrap();
    (folder, path, ring)
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_read_within_ten_seconds() {
    let (_folder, path, ring) = ring();
    let first = ring.keys();
    let look = async {
        sleep(COMPARE_EVERY * 3 / 2).await;
        assert!(Arc::ptr_eq(&first, &ring.keys()), "the same content: the same keys");
        std::fs::write(&path, SECOND).unwrap();
        let changed = Instant::now();
        while Arc::ptr_eq(&first, &ring.keys()) {
            sleep(Duration::from_millis(100)).await;
            assert!(changed.elapsed() <= COMPARE_EVERY, "it is not read");
        }
    };
    tokio::select! {
        () = look => {}
        never = ring.follow() => match never {},
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_have_the_file_read_once_in_ten_seconds() {
    let (_folder, path, ring) = ring();
    let first = ring.keys();
    assert!(ring.other_than(&first).await.is_none(), "nothing has changed");
    std::fs::write(&path, SECOND).unwrap();
    advance(UNKNOWN_KEY_EVERY - Duration::from_millis(1)).await;
    assert!(ring.other_than(&first).await.is_none(), "it was read less than 10 s ago");
    advance(Duration::from_millis(1)).await;
    let second = ring.other_than(&first).await.expect("it is read");
    // Who still has the first keys gets the second ones, without a read that others may need.
    std::fs::write(&path, THIRD).unwrap();
    advance(UNKNOWN_KEY_EVERY).await;
    let again = ring.other_than(&first).await.expect("they are others");
    assert!(Arc::ptr_eq(&second, &again));
    let third = ring.other_than(&second).await.expect("nobody had it read for 10 s");
    std::fs::write(&path, FIRST).unwrap();
    assert!(ring.other_than(&third).await.is_none());
    ring.read_again().await;
    assert!(ring.other_than(&third).await.is_some(), "a reload does not wait");
}
