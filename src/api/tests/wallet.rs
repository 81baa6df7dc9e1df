//! Whose wallet a caller may change.

use super::*;
use crate::api::SelfCharge;
use crate::domain::{Body, Lane, wallet};
use crate::wire::command::decode;

async fn door(self_charge: bool) -> Door {
    Door::with(Settings { self_charge: SelfCharge(self_charge), ..Settings::default() }).await
}

impl Door {
    fn moves(&self, user: &str, roles: &str, path: &str, body: Value) -> RequestBuilder {
        self.bare(Method::POST, path).header("x-user-id", user).header("x-user-roles", roles).json(&body)
    }
}

const CHARGES: &str = "/v1/wallet/charges";
const DEBITS: &str = "/v1/wallet/debits";

#[tokio::test]
async fn w10_who_may_charge_and_debit_whom() {
    // Whether users charge themselves; roles, path, whose wallet the body names; status and whose wallet it was.
    let cases = [
        (false, "", CHARGES, None, 403, ""),
        (false, "", CHARGES, Some("alice"), 403, ""),
        (false, "", CHARGES, Some("bob"), 403, ""),
        (false, "box_office door", CHARGES, Some("bob"), 403, ""),
        (false, "cashier", CHARGES, None, 422, ""),
        (false, "cashier", CHARGES, Some("bob"), 202, "bob"),
        (false, "cashier", CHARGES, Some("alice"), 202, "alice"),
        (false, "admin", CHARGES, Some("bob"), 202, "bob"),
        (true, "", CHARGES, None, 202, "alice"),
        (true, "", CHARGES, Some("alice"), 202, "alice"),
        (true, "", CHARGES, Some("bob"), 403, ""),
        (true, "cashier", CHARGES, None, 202, "alice"),
        (true, "cashier", CHARGES, Some("bob"), 202, "bob"),
        (false, "", DEBITS, None, 202, "alice"),
        (false, "", DEBITS, Some("alice"), 202, "alice"),
        (false, "", DEBITS, Some("bob"), 403, ""),
        (false, "cashier", DEBITS, None, 202, "alice"),
        (false, "cashier", DEBITS, Some("bob"), 202, "bob"),
    ];
    for (self_charge, roles, path, named, status, whose) in cases {
        let door = door(self_charge).await;
        let answer = send(door.moves("alice", roles, path, json!({ "amount": 5, "user_id": named }))).await;
        let case = format!("{self_charge} {roles:?} {path} {named:?}: {answer:?}");
        assert_eq!(answer.status, status, "{case}");
        match status {
            202 => {
                let command = door.wallet_command().await;
                let user = command.body.user_id().unwrap().as_str();
                assert_eq!(user, whose, "{case}");
                let by = command.by.as_ref().map(|by| by.as_str());
                assert_eq!(by, (whose == "bob").then_some("alice"), "{case}");
            }
            403 => assert_eq!(answer.problem(), "forbidden"),
            _ => assert_eq!(answer.json()["errors"][0]["pointer"], "/user_id"),
        }
        assert_eq!(door.wallet_commands().await, u64::from(status == 202), "{case}");
    }
}

impl Door {
    /// The only one.
    async fn wallet_command(&self) -> crate::domain::Command {
        let topic = Topic::Lane(Lane::Wallets);
        for partition in 0..self.log.partitions().of(topic) {
            if self.log.end_offset(topic, partition).await.unwrap() > 0 {
                let mut reader = self.log.read(topic, partition, 0).await.unwrap();
                return decode(&reader.next(1, 1 << 20).await.unwrap().remove(0).value.unwrap()).unwrap();
            }
        }
        panic!("no command was published");
    }
}

#[tokio::test]
async fn a_charge_by_a_cashier_belongs_to_both() {
    let door = door(false).await;
    let body = json!({ "amount": 500, "reason": "cash", "user_id": "auth0|7" });
    door.worker.start();
    let answer = send(waiting(door.moves("till-1", "cashier", CHARGES, body), 10)).await;
    assert_eq!((answer.status, &answer.json()["result"]["balance"]), (200, &json!(500)));
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    assert!(matches!(door.wallet_command().await.body, Body::Wallets(wallet::Command::ChargeWallet(_))));
    for (user, status) in [("till-1", 200), ("auth0|7", 200), ("mallory", 404)] {
        let seen = door.bare(Method::GET, &format!("/v1/requests/{id}")).header("x-user-id", user);
        assert_eq!(send(seen).await.status, status, "{user}");
    }
}
