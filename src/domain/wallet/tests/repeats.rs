//! Whatever is asked again, however late, moves nothing.

use super::*;
use crate::domain;

/// The reply of a repeat, which moves nothing.
#[track_caller]
fn answered(decision: &Decision<WalletState>) -> &PaymentAnswer {
    assert_eq!(decision.changes, [], "nothing moves");
    match &decision.verdict {
        Verdict::Decided(Ok(domain::Reply::Wallets(Reply::Answered(answer)))) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn w3_300_charges_under_one_request_id_are_one_and_answer_alike() {
    let mut purse = Purse::with(1000);
    let first = purse.run_as(77, &charge(500)).verdict;
    for _ in 1..300 {
        assert_eq!(purse.run_as(77, &charge(500)).verdict, first);
        purse.forget();
    }
    assert_eq!(purse.balance(), 1500);
}

#[test]
fn a_charge_or_debit_under_a_known_request_id_gives_its_entry_again() {
    for forgets in [false, true] {
        for (command, other) in [(charge(5), charge(7)), (spend(5), spend(7))] {
            let mut purse = Purse::with(10);
            let first = purse.run_as(77, &command);
            let after = purse.balance();
            if forgets {
                purse.forget();
            }
            // Also with another amount: the request row that would tell it apart may be long deleted.
            for repeat in [&command, &other] {
                let again = purse.run_as(77, repeat);
                assert_eq!((&again.verdict, again.changes.len()), (&first.verdict, 0));
            }
            assert_eq!(purse.balance(), after);
            purse.run_as(78, &command);
            assert_ne!(purse.balance(), after, "another request is another movement");
        }
    }
}

#[test]
fn a_charge_and_a_debit_under_one_request_id_are_two() {
    let mut purse = Purse::with(10);
    purse.run_as(77, &charge(5));
    purse.run_as(77, &spend(1));
    assert_eq!(purse.balance(), 14);
}

#[test]
fn another_users_entry_under_the_same_request_id_is_none_of_ours() {
    let mut purse = Purse::with(10);
    purse.run_as(77, &charge(5));
    let Row::Entry(entry) = purse.rows.values().find(|row| matches!(row, Row::Entry(_))).unwrap().clone() else {
        panic!()
    };
    let mut bob = WalletState::load("bob".parse().unwrap(), None);
    bob.remember(Row::Entry(entry));
    assert!(!bob.knows(&Recall::Entry(EntryKind::Charge, Uuid::from_u128(77))));
}

#[test]
fn a_refused_debit_is_decided_anew_under_its_request_id() {
    let mut purse = Purse::with(10);
    assert_eq!(refused(&purse.run_as(77, &spend(11))), Code::InsufficientBalance);
    purse.run(charge(1));
    purse.run_as(77, &spend(11));
    assert_eq!(purse.balance(), 0, "no entry, so nothing had moved");
}

#[test]
fn p9a_a_lost_debit_that_is_asked_for_again_is_executed_once() {
    for forgets in [false, true] {
        let mut purse = Purse::with(10);
        let asked = purse.run(ask(AnswerKind::Debit, 4));
        let Verdict::Decided(Ok(domain::Reply::Wallets(Reply::Answered(answer)))) = &asked.verdict else {
            panic!("{asked:?}")
        };
        assert_eq!((answer.answer, answer.amount), (Ok(balance(6)), amount(4)));
        assert_eq!(asked.follow_ups, settled(4, debited(6)));
        assert_eq!((purse.balance(), purse.entries()[0].kind), (6, EntryKind::Payment));
        if forgets {
            purse.forget();
        }
        let again = purse.run(ask(AnswerKind::Debit, 4));
        assert_eq!(answered(&again), purse.answers()[0]);
        assert_eq!(again.follow_ups, settled(4, debited(6)), "the balance it left, not the one of today");
    }
}

#[test]
fn p9b_a_debit_that_comes_after_it_was_asked_for_moves_nothing() {
    for (first, late) in [(ask(AnswerKind::Debit, 4), pay(4)), (pay(4), ask(AnswerKind::Debit, 4)), (pay(4), pay(4))] {
        let mut purse = Purse::with(10);
        purse.run(first);
        purse.run(charge(100));
        purse.forget();
        let late = purse.run(late);
        assert_eq!(answered(&late), purse.answers()[0]);
        assert_eq!((purse.balance(), late.follow_ups), (106, settled(4, debited(6))));
    }
}

#[test]
fn p9c_a_declined_debit_stays_declined_after_a_charge() {
    for declined in [pay(11), ask(AnswerKind::Debit, 11)] {
        for late in [pay(11), ask(AnswerKind::Debit, 11), pay(1)] {
            let mut purse = Purse::with(10);
            let code = Code::InsufficientBalance;
            let first = settled(11, Settlement::DebitDeclined { code });
            assert_eq!(purse.run(declined.clone()).follow_ups, first);
            purse.run(charge(100));
            purse.forget();
            let late = purse.run(late);
            assert_eq!(answered(&late).answer, Err(code));
            assert_eq!((purse.balance(), late.follow_ups), (110, first), "asked for the amount that was declined");
        }
    }
}

#[test]
fn a_refund_is_paid_once_however_often_it_is_asked_for() {
    let asked = || ask(AnswerKind::Refund, 4);
    for commands in [[refund(4), refund(4), asked()], [asked(), refund(4), asked()]] {
        let mut purse = Purse::with(10);
        purse.run(pay(4));
        purse.forget();
        for command in commands {
            let decision = purse.run(command);
            assert_eq!(decision.follow_ups, settled(4, Settlement::Refunded { balance: balance(10) }));
            purse.run(charge(100));
        }
        assert_eq!(purse.balance(), 310);
    }
}

#[test]
fn the_debit_and_the_refund_of_a_payment_are_answered_apart() {
    let mut purse = Purse::with(10);
    purse.run(pay(4));
    let recall = Recall::Answers(origin().payment_id);
    assert!(!purse.state.as_ref().unwrap().knows(&recall), "the store may have a refund");
    purse.run(refund(4));
    assert!(purse.state.as_ref().unwrap().knows(&recall));
    assert_eq!((purse.balance(), purse.answers().len()), (10, 2));
}

#[test]
fn what_another_user_was_answered_counts_for_them_alone() {
    let mut purse = Purse::with(10);
    let theirs = PaymentAnswer {
        payment_id: origin().payment_id,
        kind: AnswerKind::Debit,
        user_id: "bob".parse().unwrap(),
        amount: amount(4),
        answer: Ok(balance(6)),
        at: at(0),
    };
    let key = RowKey::Answer(theirs.payment_id, theirs.kind, theirs.user_id.clone());
    purse.rows.insert(key, Row::Answer(theirs));
    purse.run(pay(4));
    assert_eq!((purse.balance(), purse.answers().len()), (6, 2), "each user has an answer of their own");
}

#[test]
fn memory_drops_what_the_store_can_give_back_and_nothing_newer() {
    let mut purse = Purse::with(10);
    purse.run(charge(1));
    purse.run(pay(1));
    purse.run(charge(2));
    let state = purse.state.as_mut().unwrap();
    assert_eq!((state.remembered(), state.rows()), (3, 4));
    state.forget(2);
    assert_eq!(state.remembered(), 2);
    state.forget(3);
    assert!(state.knows(&Recall::Entry(EntryKind::Charge, Uuid::from_u128(3))));
    assert_eq!((state.remembered(), purse.balance()), (1, 12));
}

#[test]
fn memory_is_ahead_of_the_store() {
    let mut purse = Purse::with(10);
    purse.run(pay(4));
    let Row::Answer(mut older) = purse.rows.values().find(|row| matches!(row, Row::Answer(_))).unwrap().clone() else {
        panic!()
    };
    older.answer = Err(Code::InsufficientBalance);
    purse.state.as_mut().unwrap().remember(Row::Answer(older));
    assert_eq!(answered(&purse.run(pay(4))).answer, Ok(balance(6)));
}
