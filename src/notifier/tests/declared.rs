//! Endpoints that a configuration file declares.

use super::World;
use super::receiver::{Received, Receiver};
use crate::notifier::{Declared, DeclaredWebhook, NewWebhook, check_changeable, signature};
use crate::store::{Disabled, OnFailure, Webhook, WebhookFormat, Webhooks, Why};

const FILE: &str = "/etc/turnstile/turnstile.toml";

fn secret(of: u8) -> String {
    signature::secret(&[of; 32])
}

fn endpoint(name: &str, receiver: &Receiver, secret_of: u8) -> DeclaredWebhook {
    let wanted = NewWebhook {
        name: name.to_owned(),
        url: format!("http://{}/{name}", receiver.address),
        types: vec!["wallet.*".to_owned()],
        schedule: None,
        concert: None,
        include_user: false,
        format: WebhookFormat::Standard,
        on_failure: OnFailure::Skip,
    };
    DeclaredWebhook { wanted, secret: Some(secret(secret_of)) }
}

fn is_signed(received: &Received, secret: &str) -> bool {
    let timestamp: i64 = received.headers["webhook-timestamp"].parse().unwrap();
    let expected = signature::header([secret].into_iter(), received.id(), timestamp, &received.body);
    received.headers["webhook-signature"].split(' ').any(|signed| signed == expected)
}

impl World {
    fn declare(&mut self, file: &str, webhooks: Vec<DeclaredWebhook>) {
        self.declared = Some(Declared { file: file.to_owned(), webhooks });
    }

    async fn names(&self) -> Vec<String> {
        self.store.webhooks().await.unwrap().into_iter().map(|webhook| webhook.name).collect()
    }

    async fn one(&self, name: &str) -> Webhook {
        self.until("the endpoint", |webhook| webhook.name == name && webhook.content.declared_in.is_some()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_a_declared_endpoint_receives_and_keeps_its_place_when_the_file_changes() {
    let (mut world, receiver) = (World::new(), Receiver::always(200).await);
    world.declare(FILE, vec![endpoint("shop", &receiver, 1)]);
    let notifier = world.start("a");
    let made = world.one("shop").await;
    assert_eq!(
        check_changeable(&made).unwrap_err(),
        format!("shop is declared in {FILE}: change it there and start the notifier again")
    );
    world.charge(0, "alice", 0..3).await;
    let taken = receiver.until_taken(3).await;
    assert!(taken.iter().all(|of| of.path == "/shop" && is_signed(of, &secret(1))));
    notifier.stop().await;
    // Another URL and another secret: the former one signs beside it for a while.
    let mut changed = endpoint("shop", &receiver, 2);
    changed.wanted.url.push_str("/new");
    world.declare(FILE, vec![changed]);
    let notifier = world.start("a");
    world.until("the change", |webhook| webhook.content.url.ends_with("/new")).await;
    world.charge(0, "alice", 3..5).await;
    let taken = receiver.until_taken(5).await;
    notifier.stop().await;
    let new = &taken[3..];
    assert!(new.iter().all(|of| of.path == "/shop/new" && is_signed(of, &secret(1)) && is_signed(of, &secret(2))));
    assert_eq!(world.one("shop").await.id, made.id, "it is the same endpoint, so nothing came again");
    // A start with the same file changes nothing.
    let before = world.one("shop").await;
    let notifier = world.start("a");
    world.charge(0, "alice", 5..6).await;
    receiver.until_taken(6).await;
    notifier.stop().await;
    assert_eq!(world.one("shop").await, before);
    let notes = world.store.webhook_notes(10).await.unwrap();
    let acts: Vec<_> = notes.iter().map(|note| (note.act.as_str(), note.by.as_str())).collect();
    assert_eq!(acts, [("changed", "configuration"), ("added", "configuration")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_a_file_takes_away_what_it_declared_and_nothing_else() {
    let (mut world, receiver) = (World::new(), Receiver::always(200).await);
    // An operator's, one that the file takes over, and one of another file.
    world.add(&receiver, |wanted| wanted.name = "operators".to_owned()).await;
    let adopted = world.add(&receiver, |wanted| wanted.name = "adopted".to_owned()).await;
    let mut paused = adopted.clone();
    paused.content.disabled = Some(Disabled { at_ms: 1, why: Why::By("kim".to_owned()) });
    assert!(world.store.change_webhook(&paused).await.unwrap());
    world.declare("/other.toml", vec![endpoint("others", &receiver, 3)]);
    let notifier = world.start("a");
    world.one("others").await;
    notifier.stop().await;
    world.declare(FILE, vec![endpoint("adopted", &receiver, 1), endpoint("shop", &receiver, 2)]);
    let notifier = world.start("a");
    world.one("shop").await;
    let now = world.one("adopted").await;
    assert_eq!((now.id, &now.content.disabled), (adopted.id, &paused.content.disabled), "it stays paused");
    notifier.stop().await;
    world.declare(FILE, Vec::new());
    let notifier = world.start("a");
    let waiting = async {
        while world.names().await.len() > 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::WITHIN, waiting).await.expect("both are removed");
    notifier.stop().await;
    assert_eq!(world.names().await, ["operators", "others"]);
}

#[test]
fn f46_what_is_declared_wrongly_is_refused_by_its_field() {
    let wanted = |name: &str, url: &str, types: &[&str], format| NewWebhook {
        name: name.to_owned(),
        url: url.to_owned(),
        types: types.iter().map(|text| (*text).to_owned()).collect(),
        schedule: None,
        concert: None,
        include_user: false,
        format,
        on_failure: OnFailure::Skip,
    };
    let (standard, url) = (WebhookFormat::Standard, "https://a.example/");
    let refused = |wanted: NewWebhook, secret: Option<&str>| {
        let declared = DeclaredWebhook { wanted, secret: secret.map(str::to_owned) };
        declared.check(false).map_err(|refused| refused.field)
    };
    let good = secret(1);
    assert_eq!(refused(wanted("a", url, &["partition.parked"], standard), Some(&good)), Ok(()));
    assert_eq!(refused(wanted("a", url, &[], WebhookFormat::Slack), None), Ok(()));
    assert_eq!(refused(wanted("a", url, &[], WebhookFormat::Slack), Some(&good)), Err("secret"));
    assert_eq!(refused(wanted("a", url, &[], standard), None), Err("secret"));
    assert_eq!(refused(wanted("a", url, &[], standard), Some("whsec_short")), Err("secret"));
    assert_eq!(refused(wanted("a b", url, &[], standard), Some(&good)), Err("name"));
    assert_eq!(refused(wanted("a", "http://a.example/", &[], standard), Some(&good)), Err("url"));
    assert_eq!(refused(wanted("a", url, &["partition.stolen"], standard), Some(&good)), Err("types"));
}
