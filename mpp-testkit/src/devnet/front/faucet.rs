//! The faucet: fresh accounts are given money.

use mpp_tempo::chain::parse_address;
use serde_json::{Value, json};

use super::{fault::Fault, methods::Methods};
use crate::devnet::{FAUCET, TOKENS};

/// What an account gets of each token, in base units: a million.
const GIFT: u128 = 1_000_000_000_000;

/// Gas that is enough for a transfer to an account that never held the token.
const GAS: &str = "0xf4240";

/// Native money, which Tempo has none of: from an account without it, the node takes no ordinary transaction.
const NATIVE: &str = "0xffffffffffffffffffffffff";

/// Sends some of each token, and answers the hashes once all is mined.
pub(super) async fn fund_address(methods: &Methods, params: &[Value]) -> Result<Value, Fault> {
    const TRANSFER: &str = "0xa9059cbb";
    let to = params.first().and_then(Value::as_str).map(str::to_ascii_lowercase);
    let to = to.and_then(|to| parse_address(&to).ok());
    let to = to.ok_or_else(|| Fault::params("not an address"))?;
    let data = format!("{TRANSFER}{:0>64}{GIFT:064x}", to.to_string().trim_start_matches("0x"));
    let _turn = methods.nonces.lock().await;
    let mut hashes = Vec::with_capacity(TOKENS.len());
    for (_, token) in TOKENS {
        let transfer = json!({ "from": FAUCET.address, "to": token, "data": data, "gas": GAS });
        let receipt = methods.node.call("eth_sendTransactionSync", json!([transfer])).await?;
        if receipt.get("status").and_then(Value::as_str) != Some("0x1") {
            return Err(Fault::unanswered("the faucet's transfer failed"));
        }
        hashes.push(receipt.get("transactionHash").cloned().unwrap_or_default());
    }
    methods.node.call("anvil_setBalance", json!([to.to_string(), NATIVE])).await?;
    Ok(json!(hashes))
}
