//! Proofs: signed for whoever was asked, for nothing, and without asking the chain.

use super::*;
use crate::charge::proof::proof_digest;

fn free() -> Request<TempoCharge> {
    let mut request = request();
    request.terms.amount = Amount::ZERO;
    request
}

fn asked_of(origin: &str) -> Allowance {
    Allowance { up_to: Amount::ZERO, to: Site { origin: origin.into(), resource: "/".into() } }
}

#[tokio::test]
async fn a_proof_is_signed_without_money_or_a_node() {
    let challenge = challenge(&free());
    let node = Arc::new(Scripted::default());
    let payer = payer_at(node.clone());
    assert_eq!(exposes(&payer, &free()), Some(0));
    let demand = challenge.read().unwrap();
    let proof = payer.pay(&demand, &asked_of("https://api.example.com")).await.unwrap();
    let Payload::Proof { signature } = &proof.payload else { panic!("proof") };
    let account = key().address();
    let digest = proof_digest(42431, account, challenge.id().as_str(), "api.example.com");
    let made =
        crate::chain::signature::Signature::parse(&crate::chain::parse_hex(signature).unwrap());
    assert_eq!(made.unwrap().recover(digest), Ok(account));
    let source = proof.source.unwrap();
    assert_eq!(source.as_str(), format!("did:pkh:eip155:42431:{account}"));
    assert_eq!(proof.exposed, Some(Amount::ZERO));
    assert!(matches!(payer.became(&demand, &proof.payload).await, Ok(Became::Dead)));
    assert!(matches!(payer.recall(&demand).await, Ok(Recall::Never)));
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn s14_no_proof_is_signed_for_a_realm_that_was_not_asked() {
    let challenge = challenge(&free());
    let demand = challenge.read().unwrap();
    let payer = || payer_at(Arc::default());
    let evil = asked_of("https://evil.example");
    let refused = payer().pay(&demand, &evil).await.unwrap_err();
    assert_eq!(refused.funds, Funds::Untouched);
    assert!(refused.to_string().contains("trusting_realm"), "{refused}");
    let trusting = payer().trusting_realm("API.example.com", "https://Gateway.example/");
    assert!(trusting.pay(&demand, &asked_of("https://gateway.example")).await.is_ok());
    assert!(trusting.pay(&demand, &evil).await.is_err());
    assert!(trusting.pay(&demand, &asked_of("http://gateway.example")).await.is_err());
}

#[tokio::test]
async fn s14_no_proof_is_signed_for_another_chain() {
    let mut mainnet = free();
    mainnet.details.method_details.chain_id = Some(4217);
    assert_eq!(exposes(&payer_at(Arc::default()), &mainnet), None);
    let challenge = challenge(&mainnet);
    let paid = payer_at(Arc::default())
        .pay(&challenge.read().unwrap(), &asked_of("https://api.example.com"))
        .await;
    assert_eq!(paid.unwrap_err().funds, Funds::Untouched);
}
