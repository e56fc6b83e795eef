//! What a payer leaves alone, it says why: what is asked, and what would have to change.

use std::error::Error as _;

use super::*;
use crate::chain::attribution::Attribution;

type Edit = fn(&mut Request<TempoCharge>);
type Told = fn(Payer) -> Payer;

fn nothing(payer: Payer) -> Payer {
    payer
}

fn offers(request: &mut Request<TempoCharge>, mode: Mode) {
    request.details.method_details.supported_modes = Some(vec![mode]);
}

#[tokio::test]
async fn what_is_not_paid_is_told_why() {
    let cases: &[(Told, Edit, &str)] = &[
        (
            nothing,
            |r| r.details.method_details.chain_id = Some(4217),
            "for chain 4217, and this payer pays on 42431",
        ),
        (nothing, |r| r.terms.recipient = None, "a recipient is not an address"),
        (
            nothing,
            |r| r.terms.currency = "0x20c0000000000000000000000000000000000042".into(),
            "0x20C0000000000000000000000000000000000042 is no dollar that is known here: if it is one, name it in only_in",
        ),
        (
            |p| p.only_in([ALPHA_USD.to_string().as_str()]).unwrap(),
            |_| {},
            "the token 0x20C0000000000000000000000000000000000000 is not among those that this payer pays in (only_in)",
        ),
        (
            |p| p.only_to([key().address().to_string().as_str()]).unwrap(),
            |_| {},
            "the recipient 0x2222222222222222222222222222222222222222 is not among those that this payer may pay (only_to)",
        ),
        (
            nothing,
            |r| r.terms.recipient = Some(key().address().to_string()),
            "pays the very account that this payer pays from",
        ),
        (
            nothing,
            |r| {
                let theirs = Attribution::new("other.example", "theirs").memo(None);
                r.details.method_details.memo = Some(format!("{theirs:#x}"));
            },
            "names another challenge",
        ),
        (|p| p.mode(Mode::Pull), |r| offers(r, Mode::Push), "does not take pull mode"),
        (|p| p.mode(Mode::Push), |r| offers(r, Mode::Pull), "does not take push mode"),
        (
            |p| p.mode(Mode::Push),
            |r| r.details.method_details.fee_payer = Some(true),
            "the server pays the fee, and what it pays the fee of is never pushed",
        ),
        (
            |p| p.mode(Mode::Push),
            |r| r.details.method_details.memo = Some(format!("0x{}", "42".repeat(32))),
            "only a memo that names its challenge is pushed",
        ),
        (nothing, |r| offers(r, Mode::Other("teleport".into())), "neither pull nor push mode"),
        (|p| p.mode(Mode::Other("teleport".into())), |_| {}, "a mode that it does not know"),
        (nothing, |r| r.terms.amount = Amount::new(u128::MAX), "too large to be counted"),
    ];
    for (told, edit, why) in cases {
        let mut request = request();
        edit(&mut request);
        let payer = told(payer_at(Arc::default()));
        let challenge = challenge(&request);
        let demand = challenge.read().unwrap();
        assert!(payer.exposes(&demand).is_none(), "{why}");
        let said = payer.declines(&demand).unwrap();
        assert!(said.contains(why) && !said.contains("teleport"), "{said}");
        // The wallet shows no more of one reason than this.
        assert!(said.chars().count() <= 200, "{said}");
        if *why != "too large to be counted" {
            let refused = payer.pay(&demand, &allowance(u128::MAX)).await.unwrap_err();
            assert_eq!(refused.source().unwrap().to_string(), said);
        }
    }
}

#[test]
fn what_is_paid_has_nothing_said_against_it() {
    let challenge = challenge(&request());
    assert_eq!(payer_at(Arc::default()).declines(&challenge.read().unwrap()), None);
}

#[test]
fn fees_are_told_apart_from_the_price() {
    let fees = |payer: &Payer, request: &Request<TempoCharge>| {
        let challenge = challenge(request);
        payer.exposes(&challenge.read().unwrap()).unwrap().fees.get()
    };
    let mut sponsored = request();
    sponsored.details.method_details.fee_payer = Some(true);
    assert_eq!(fees(&payer_at(Arc::default()), &sponsored), 0);
    let frugal = payer_at(Arc::default()).max_fee(Amount::new(7));
    assert_eq!(fees(&frugal, &request()), 7);
    let from = ALPHA_USD.to_string();
    let swapping = frugal.swapping_from([from.as_str()], 100).unwrap();
    assert_eq!(fees(&swapping, &request()), 1_000 + 7);
}
