//! What is asked of payers and what they are told.

use mpp_core::{
    account::State,
    amount::AmountError,
    intent::PriceError,
    store::{Memory, Store},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    chain::{ALPHA_USD, AddressError},
    session::{Protocol, Snapshot},
};

#[test]
fn a_rate_is_exact_or_an_error_and_never_nothing() {
    let teller = teller();
    let units = |rate: &str| {
        teller.terms(&rate.parse().unwrap()).map(|terms| (terms.amount.get(), terms.unit_type))
    };
    assert_eq!(units("0.0001 usd per token"), Ok((100, Some("token".into()))));
    assert_eq!(units("0.000001 usd"), Ok((1, Some("request".into()))));
    let token = format!("0.5 {PATH_USD} per minute");
    assert_eq!(units(&token), Ok((500_000, Some("minute".into()))));
    assert!(matches!(units("0.0000001 usd per token"), Err(PriceError::Amount(_))));
    assert_eq!(units("0 usd per token"), Err(PriceError::Nothing));
    assert_eq!(units("1 sat per token"), Err(PriceError::Unit));
    let most = format!("{}1 usd", "9".repeat(25));
    assert_eq!(units(&most), Err(PriceError::Unpayable));
    let foreign = teller.clone().currency("0x20c0000000000000000000000000000000000009").unwrap();
    assert_eq!(foreign.terms(&"1 usd".parse().unwrap()), Err(PriceError::Unit));

    let deposit = |text: &str| "0.001 usd".parse::<Rate>().unwrap().suggest(text.parse().unwrap());
    let suggested = |rate: &Rate| teller.terms(rate).map(|terms| terms.suggested_deposit);
    assert_eq!(suggested(&deposit("2.50 usd")), Ok(Some(Amount::new(2_500_000))));
    assert_eq!(suggested(&deposit("0.0000001 usd")).map_err(drop), Err(()));
    let wary = teller.clone().min_deposit("3").unwrap();
    for (rate, least) in [("1 usd", 3_000_000), ("4 usd", 4_000_000)] {
        let terms = wary.terms(&deposit(rate)).unwrap();
        assert_eq!(terms.suggested_deposit.unwrap().get(), least);
    }
    assert_eq!(
        wary.terms(&"0.001 usd".parse().unwrap()).unwrap().suggested_deposit,
        Some(Amount::new(3_000_000))
    );
}

async fn details(teller: &Teller, known: Option<&Account<Channel>>) -> (Value, bool) {
    let (at, realm, until) = (Resource::at("GET /"), realm(), Timestamp::from_unix(NOW, 0));
    let asking = Asking::new(&at, &realm, &until);
    let minted = teller.details(&terms(teller), asking, known).await.unwrap();
    (serde_json::to_value(minted.details.method_details).unwrap(), minted.lasting)
}

#[tokio::test]
async fn s18_a_challenge_says_what_there_is_and_nothing_that_there_is_not() {
    let plain = json!({
        "escrowContract": "0x4d50500000000000000000000000000000000000", "chainId": 42431,
        "sessionProtocol": "v2",
    });
    assert_eq!(details(&teller(), None).await, (plain, true));
    let store: Arc<dyn Store> = Arc::new(Memory::volatile());
    let sponsor = Sponsor::new(&Chain::MODERATO, Arc::new(payer()), store).unwrap();
    let recipient = "0x2222222222222222222222222222222222222222";
    let operated =
        Teller::new(&Chain::MODERATO, recipient, Arc::new(payee()), Arc::<Scripted>::default());
    let operated = operated.unwrap().min_voucher_delta("0.0005").unwrap().sponsor(sponsor).unwrap();
    let all = json!({
        "escrowContract": "0x4d50500000000000000000000000000000000000", "chainId": 42431,
        "sessionProtocol": "v2", "minVoucherDelta": "500", "feePayer": true,
        "operator": payee().address().to_string(),
    });
    assert_eq!(details(&operated, None).await, (all, true));
}

#[tokio::test]
async fn whoever_names_a_channel_is_told_how_it_stands_and_gets_no_voucher() {
    let (teller, account) = (teller(), account_of(channel()));
    let (told, lasting) = details(&teller, Some(&account)).await;
    assert!(!lasting);
    assert_eq!(told["channelId"], id(&channel()));
    let snapshot = &told["sessionSnapshot"];
    let expected = json!({ "spent": "2000", "acceptedCumulative": "3000", "requiredCumulative": "3000", "deposit": "10000" });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&snapshot[member], value, "{member}");
    }
    assert_eq!(snapshot.get("highestVoucher"), None);
    // Of one that cannot be gone on with nobody hears.
    let mut ending = account_of(channel());
    ending.kept.close_requested_at = 5;
    let mut closing = account_of(channel());
    closing.state = State::Closing;
    let foreign = account_of(Descriptor { operator: payer().address(), ..channel() });
    for known in [ending, closing, foreign] {
        assert!(details(&teller, Some(&known)).await.1);
    }
}

#[test]
fn the_payer_of_a_channel_gets_its_own_voucher_back() {
    let (teller, mut account) = (teller(), account_of(channel()));
    let fields =
        |account: &Account<Channel>| teller.fields(&id(&channel()), account, &terms(&teller));
    let told = fields(&account);
    let [("Payment-Session", named), ("Payment-Session-Snapshot", snapshot)] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!(*named, id(&channel()));
    let snapshot = Snapshot::from_header(snapshot).unwrap();
    let recognised = snapshot.verified(CHANNEL_RESERVE, 42431).unwrap();
    let proven = snapshot.proven(&recognised, &Domain::v2(42431)).unwrap();
    assert_eq!(proven, Some(Amount::new(3_000)));
    account.proof = None;
    assert!(fields(&account).is_empty());
    let mut account = account_of(channel());
    account.state = State::Closing;
    assert!(fields(&account).is_empty());
}

#[test]
fn receipts_and_needs_are_as_deployed_servers_write_them() {
    let (teller, account) = (teller(), account_of(channel()));
    let id = id(&channel());
    let receipt = Value::Object(teller.receipt(&id, &account));
    let expected = json!({ "intent": "session", "channelId": id, "acceptedCumulative": "3000", "spent": "2000", "units": 2 });
    assert_eq!(receipt, expected);
    let need = teller.need(&id, &account, Amount::new(4_000));
    assert_eq!(need.event, "payment-need-voucher");
    let expected = json!({ "acceptedCumulative": "3000", "channelId": id, "deposit": "10000", "requiredCumulative": "4000" });
    assert_eq!(need.data, expected);
    let payer = teller.payer(&account.kept).unwrap();
    assert_eq!(payer.as_str(), format!("did:pkh:eip155:42431:{}", super::payer().address()));
}

#[tokio::test]
async fn a_challenge_of_another_seller_is_not_answered_here() {
    let teller = teller();
    let account = account_of(channel());
    let payload = voucher(&channel(), 4_000, signed(&payer(), &channel(), 4_000));
    type Edit = fn(&mut SessionTerms, &mut Details);
    let edits: [(&str, Edit); 8] = [
        ("another chain", |_, d| d.chain_id = Some(4217)),
        ("no chain", |_, d| d.chain_id = None),
        ("another contract", |_, d| d.escrow_contract = PATH_USD.to_string()),
        ("version 1", |_, d| d.session_protocol = None),
        ("a version to come", |_, d| d.session_protocol = Some(Protocol::Other("v3".into()))),
        ("another operator", |_, d| d.operator = Some(PATH_USD.to_string())),
        ("another token", |t, _| t.currency = ALPHA_USD.to_string()),
        ("another recipient", |t, _| t.recipient = Some(PATH_USD.to_string())),
    ];
    for (name, edit) in edits {
        let (mut terms, mut details) = (terms(&teller), teller.details_of_all());
        edit(&mut terms, &mut details);
        let claim = claim_on(&challenge(terms, details), &payload, None);
        assert_eq!(teller.account(&claim).unwrap_err().reason, Reason::WRONG_TERMS, "{name}");
        let refused = teller.check(&claim, Some(&account)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::WRONG_TERMS, "{name}");
    }
    assert_eq!(teller.account(&claim(&teller, &payload)).unwrap(), id(&channel()));
}

#[test]
fn s9_a_channel_is_one_in_whatever_case_it_is_named() {
    let teller = teller();
    let payload = voucher(&channel(), 4_000, signed(&payer(), &channel(), 4_000));
    let mut wire = serde_json::to_value(&payload).unwrap();
    wire["channelId"] = id(&channel()).to_uppercase().replacen("0X", "0x", 1).into();
    let upper: Payload = serde_json::from_value(wire).unwrap();
    assert_eq!(teller.account(&claim(&teller, &upper)).unwrap(), id(&channel()));
}

#[test]
fn whoever_could_settle_nothing_is_no_seller() {
    let recipient = "0x2222222222222222222222222222222222222222";
    let build =
        || Teller::new(&Chain::MODERATO, recipient, Arc::new(payee()), Arc::<Scripted>::default());
    let stranger = payer().address().to_string();
    assert_eq!(build().unwrap().operator(&stranger).unwrap_err(), OperatorError::Signer);
    let own = payee().address().to_string();
    assert_eq!(build().unwrap().operator(&own).unwrap().operator, payee().address());
    let bad = OperatorError::Address(AddressError::Malformed);
    assert_eq!(build().unwrap().operator("0x1").unwrap_err(), bad);
    // Another operator beside the recipient's own key.
    assert_eq!(teller().operator(&stranger).unwrap().operator, payer().address());
    assert!(matches!(teller().min_voucher_delta("0.0000001"), Err(AmountError::Inexact { .. })));
    assert!(teller().max_fee("-1").is_err());
}

#[test]
fn two_operators_of_one_recipient_do_not_share_their_accounts() {
    let recipient = payee().address().to_string();
    let by = |key: Key| {
        let node = Arc::<Scripted>::default();
        let teller = Teller::new(&Chain::MODERATO, &recipient, Arc::new(key), node).unwrap();
        teller.settles_at().into_owned()
    };
    let places = [by(payee()), by(payer()), by(Key::new([9; 32]).unwrap())];
    assert_eq!(places[0], format!("42431/{PATH_USD:#x}/{:#x}", payee().address()));
    assert!(places[1] != places[2] && !places[1..].contains(&places[0]), "{places:?}");
    // Whom else the recipient's own key lets settle changes nothing about what it can collect.
    let operator = payer().address().to_string();
    assert_eq!(teller().operator(&operator).unwrap().settles_at(), places[0]);
}

#[test]
fn a_sponsor_pays_for_no_deposit_of_nearly_nothing() {
    let store: Arc<dyn Store> = Arc::new(Memory::volatile());
    let sponsor = Sponsor::new(&Chain::MODERATO, Arc::new(payer()), store).unwrap();
    let sponsored = teller().sponsor(sponsor.clone()).unwrap();
    assert_eq!(teller().least_deposit(), Amount::ZERO);
    assert_eq!(sponsored.least_deposit(), Amount::new(10_000));
    // What was said holds, before and after.
    for said in ["0", "0.002"] {
        let least = teller().min_deposit(said).unwrap().least_deposit();
        let before = teller().min_deposit(said).unwrap().sponsor(sponsor.clone()).unwrap();
        let after = sponsored.clone().min_deposit(said).unwrap();
        assert_eq!([before.least_deposit(), after.least_deposit()], [least; 2], "{said}");
    }
    // It is suggested where payers would deposit less by themselves, and never makes them deposit less.
    let suggested = |rate: &str, suggestion: Option<&str>| {
        let rate: Rate = rate.parse().unwrap();
        let rate = match suggestion {
            Some(text) => rate.suggest(text.parse().unwrap()),
            None => rate,
        };
        sponsored.terms(&rate).unwrap().suggested_deposit.map(Amount::get)
    };
    assert_eq!(suggested("0.00005 usd", None), Some(10_000));
    assert_eq!(suggested("0.0001 usd", None), None);
    assert_eq!(suggested("0.001 usd", Some("0.005 usd")), Some(10_000));
    assert_eq!(suggested("0.001 usd", Some("0.5 usd")), Some(500_000));
}
