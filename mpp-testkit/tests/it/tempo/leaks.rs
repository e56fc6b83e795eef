//! S4: whatever goes wrong below, those above the counter hear a reason and nothing else. Every refusal in every test
//! here is searched for what it must not say ([`Heard`](super::shop::Heard)).

use mpp_tempo::charge::Mode;

use super::{
    faulty::{Act, Asked, Faulty, WORDS},
    shop::Shop,
    stage::Stage,
};

#[tokio::test]
async fn s4_a_nodes_words_stay_on_our_side_of_the_counter() {
    const REVERTED: i64 = 3;
    let refuses = Act::Refuses;
    // The status, and whether anybody is invited to pay anew.
    let pulled = [
        (Asked::LatestBlock, refuses(-32000), (503, 0)),
        (Asked::Call, refuses(-32000), (503, 0)),
        (Asked::Call, Act::NeverHears, (503, 0)),
        (Asked::Send, refuses(-32003), (503, 0)),
        (Asked::Send, refuses(-32000), (503, 0)),
        (Asked::Send, Act::NeverHears, (503, 0)),
    ];
    let pushed =
        [(Asked::Receipt, refuses(-32000), (503, 0)), (Asked::Receipt, Act::NeverHears, (503, 0))];
    let sponsored = [
        (Asked::Simulate, refuses(REVERTED), (402, 1)),
        (Asked::Simulate, refuses(-32601), (503, 0)),
        (Asked::Simulate, refuses(-32000), (503, 0)),
        (Asked::Call, refuses(-32000), (503, 0)),
        (Asked::Send, refuses(-32003), (503, 0)),
    ];
    let stage = Stage::new().await;
    let line = Faulty::new(&stage.node);
    let own = || stage.verifier_at(line.clone());
    let counter = stage.counter().sell("/own", "0.01 usd", own());
    let shop = counter
        .sell("/sponsored", "0.01 usd", own().sponsored_by(stage.sponsor()).unwrap())
        .open()
        .await;
    // Pins the chain's id, which is asked for once.
    let warm = shop.sign(&stage.payer(), "/own").await;
    assert_eq!(shop.show("/own", &warm).await.code(), 200);
    for (path, mode, cases) in [
        ("/own", Mode::Pull, &pulled[..]),
        ("/own", Mode::Push, &pushed[..]),
        ("/sponsored", Mode::Pull, &sponsored[..]),
    ] {
        for (asked, act, (status, challenges)) in cases {
            let served = shop.served();
            let paid = shop.sign(&stage.payer().mode(mode.clone()), path).await;
            line.next(*asked, act.clone());
            let heard = shop.show(path, &paid).await;
            let case = format!("{path} {mode:?} {asked:?} {act:?}: {heard:?}");
            assert_eq!((heard.code(), heard.challenges().len()), (*status, *challenges), "{case}");
            assert!(!heard.body.contains(&WORDS[..20]), "{case}");
            assert_eq!(shop.served(), served, "{case}");
            line.heals();
        }
    }
}

async fn refusals(stage: &Stage, shop: &Shop) -> Vec<String> {
    let mut said = Vec::new();
    let credential = shop.sign(&stage.payer(), "/joke").await;
    for token in ["", "x", "e30", &credential.to_token().unwrap()[..40]] {
        let value = format!("Payment {token}");
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(shop.url("/joke"));
        let response = request.header("authorization", value).send().await.unwrap();
        assert_eq!(response.status(), 402);
        said.push(response.text().await.unwrap());
    }
    said
}

#[tokio::test]
async fn s4_what_cannot_be_read_is_not_read_back_to_anybody() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    for body in refusals(&stage, &shop).await {
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        let mut names: Vec<_> = problem.as_object().unwrap().keys().cloned().collect();
        names.retain(|name| name != "challengeId");
        assert_eq!(names, ["detail", "reason", "status", "title", "type"], "{body}");
        assert!(!body.contains("column") && !body.contains("line "), "{body}");
    }
}

#[tokio::test]
async fn s4_what_is_worth_money_is_not_in_any_debug() {
    let stage = Stage::new().await;
    let till = stage.sponsoring();
    let shop = stage.selling("0.01 usd", till.clone()).await;
    let payer = stage.payer();
    let credential = shop.sign(&payer, "/joke").await;
    let shown = format!("{till:?} {payer:?} {credential:?} {:?}", stage.sponsor()).to_lowercase();
    let token = super::shop::signed(&credential).encode();
    for secret in [
        &mpp_testkit::devnet::PAYER.key.hex()[2..],
        &mpp_testkit::devnet::SPONSOR.key.hex()[2..],
        &alloy::primitives::hex::encode(&token[1..40]),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
