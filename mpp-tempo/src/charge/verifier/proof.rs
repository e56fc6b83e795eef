//! Checks the proof of an account: what a challenge for nothing is answered with.

use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::SolCall,
};
use mpp_core::{
    binding::Claim,
    problem::{Reason, Rejection},
};

use super::{
    Verifier, foreign, invalid,
    reason::{self, refusal},
    unavailable,
};
use crate::{
    chain::{
        did::Did,
        keychain, parse_address, parse_hex,
        rpc::{Rpc, Trial},
        signature::{Recovered, Signature},
    },
    charge::{TempoCharge, evidence::Proven, proof::proof_digest},
};

/// More bytes than any wallet's signature has.
const MAX_SIGNATURE: usize = 8 * 1024;

impl Verifier {
    /// The source names the account, and the signature is over the account, the challenge and the realm (D-20): nobody can
    /// show it as their own, nor to another server.
    pub(super) async fn check_proof(
        &self,
        claim: &Claim<TempoCharge>,
        signature: &str,
    ) -> Result<Proven, Rejection> {
        claim.in_time()?;
        self.asks_for_proof(claim)?;
        let account = self.named(claim)?;
        let unreadable = || invalid(Reason::UNREADABLE, "The signature is not written in hex.");
        let bytes = parse_hex(signature).ok_or_else(unreadable)?;
        if bytes.len() > MAX_SIGNATURE {
            return Err(invalid(Reason::UNREADABLE, "The signature is too long."));
        }
        let challenge = &claim.challenge;
        let (id, realm) = (challenge.id().as_str(), challenge.realm.as_str());
        let digest = proof_digest(account.chain_id, account.address, id, realm);
        let recovered = Signature::parse(&bytes).and_then(|read| read.signer(digest)).ok();
        if self.is_signed(account.address, recovered, digest, bytes).await? {
            return Ok(Proven { account, challenge: id.to_owned() });
        }
        let detail = "The signature is not this account's, over this challenge and this realm.";
        Err(refusal(reason::BAD_SIGNATURE, detail))
    }

    /// Holds the request against what this server asks for nothing.
    fn asks_for_proof(&self, claim: &Claim<TempoCharge>) -> Result<(), Rejection> {
        let terms = &claim.request.terms;
        let is =
            |text: &str, address: Address| parse_address(text).is_ok_and(|read| read == address);
        let ours = claim.request.details.method_details == self.details_of(terms)
            && is(&terms.currency, self.token)
            && terms.recipient.as_deref().is_some_and(|text| is(text, self.recipient));
        if ours { Ok(()) } else { Err(foreign()) }
    }

    fn named(&self, claim: &Claim<TempoCharge>) -> Result<Did, Rejection> {
        let wrong = |detail| refusal(reason::WRONG_SOURCE, detail);
        let Some(source) = &claim.source else {
            return Err(wrong("A proof names its account as the credential's source."));
        };
        let account = source.as_str().parse::<Did>().map_err(|cause| {
            wrong("The source is not the name of an account: did:pkh:eip155:<chain>:<address>.")
                .because(cause)
        })?;
        if account.chain_id != self.node.chain_id() {
            return Err(wrong("The source is an account of another chain."));
        }
        Ok(account)
    }

    /// Whether an account signed. Its own key is known without asking; the chain is asked about a key that would be an
    /// access key of its, and an account that is a contract is asked itself.
    async fn is_signed(
        &self,
        account: Address,
        recovered: Option<Recovered>,
        digest: B256,
        signature: Bytes,
    ) -> Result<bool, Rejection> {
        if recovered.is_some_and(|found| found.access_key.is_none() && found.account == account) {
            return Ok(true);
        }
        let node = self.node.node().await.map_err(unavailable)?;
        if let Some(recovered) = recovered {
            let now = u64::try_from(self.clock.now().unix_seconds()).unwrap_or(0);
            let speaks =
                keychain::speaks_for(node, self.chain.keychain, account, recovered, now).await;
            if speaks.map_err(unavailable)? {
                return Ok(true);
            }
        }
        accepts(node, account, digest, signature).await
    }
}

/// Whether an account that is a contract takes the signature for its own (ERC-1271).
async fn accepts(
    node: &dyn Rpc,
    account: Address,
    digest: B256,
    signature: Bytes,
) -> Result<bool, Rejection> {
    let asked = abi::isValidSignatureCall { hash: digest, signature }.abi_encode();
    match node.call(Trial::read(account, asked.into())).await {
        // An account without code answers nothing at all.
        Ok(answer) => Ok(answer.len() == 32
            && answer.starts_with(&abi::isValidSignatureCall::SELECTOR)
            && answer.iter().skip(4).all(|byte| *byte == 0)),
        Err(error) if error.is_revert() => Ok(false),
        Err(error) => Err(unavailable(error)),
    }
}

mod abi {
    alloy::sol! {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }
}
