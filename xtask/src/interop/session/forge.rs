//! Credentials of a channel that its payer never made: the key is known here, so that each part can be told apart.

use alloy::primitives::{B256, U256, hex, uint};
use anyhow::{Context, ensure};
use mpp_core::{Amount, encoded};
use mpp_tempo::{
    Key,
    session::{ChannelId, Domain},
};
use mpp_testkit::devnet::PAYER;
use serde_json::{Value, json};

use super::fraud::Fraud;

/// The order of the curve.
const ORDER: U256 = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
/// A key of nobody that plays.
const FOREIGN: &str = "0x4646464646464646464646464646464646464646464646464646464646464646";

/// A channel, as the credential that opened it tells.
pub(super) struct Channel {
    opening: Value,
    domain: Domain,
}

/// A voucher, before it is signed and written.
struct Voucher {
    action: &'static str,
    channel: String,
    amount: u128,
    key: Key,
}

impl Channel {
    /// Reads the value of an `Authorization` field.
    pub(super) fn opened_by(authorization: &str, chain_id: u64) -> anyhow::Result<Self> {
        let token = authorization.strip_prefix("Payment ").context("no payment")?;
        let opening: Value = serde_json::from_slice(&encoded::decode(token)?)?;
        ensure!(opening["payload"]["action"] == "open", "it opens no channel");
        Ok(Self { opening, domain: Domain::v2(chain_id) })
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        self.opening["payload"]["channelId"].as_str().unwrap_or_default()
    }

    /// The genuine voucher of an amount in all.
    pub(super) async fn voucher(&self, amount: u128) -> anyhow::Result<String> {
        self.written(self.payload(&self.of("voucher", amount)?).await?)
    }

    /// The genuine end, for an amount in all.
    pub(super) async fn close(&self, amount: u128) -> anyhow::Result<String> {
        self.written(self.payload(&self.of("close", amount)?).await?)
    }

    /// What is shown in place of the genuine voucher of this amount.
    pub(super) async fn forged(&self, fraud: Fraud, amount: u128) -> anyhow::Result<String> {
        let good = self.of("voucher", amount)?;
        let voucher = match fraud {
            Fraud::ForeignChannel => {
                Voucher { channel: B256::repeat_byte(0x42).to_string(), ..good }
            }
            Fraud::ForeignKey => Voucher { key: FOREIGN.parse()?, ..good },
            Fraud::LowerVoucher => Voucher { amount: 1, ..good },
            Fraud::OverDeposit => Voucher { amount: amount * 1_000_000, ..good },
            _ => good,
        };
        let mut payload = self.payload(&voucher).await?;
        match fraud {
            Fraud::SignedAmount => payload["cumulativeAmount"] = json!(format!("+{amount}")),
            Fraud::HexAmount => payload["cumulativeAmount"] = json!(format!("{amount:#x}")),
            Fraud::HighS | Fraud::ShortSignature => {
                let signature = payload["signature"].as_str().context("no signature")?;
                payload["signature"] = json!(otherwise(fraud, signature)?);
            }
            Fraud::ReplayedOpen => payload = self.opening["payload"].clone(),
            Fraud::OversizedDescriptor => {
                payload["descriptor"]["salt"] = json!(format!("0x{}", "42".repeat(4_000)));
            }
            _ => {}
        }
        self.written(payload)
    }

    fn of(&self, action: &'static str, amount: u128) -> anyhow::Result<Voucher> {
        let key = PAYER.key.hex().parse()?;
        Ok(Voucher { action, channel: self.id().to_owned(), amount, key })
    }

    async fn payload(&self, voucher: &Voucher) -> anyhow::Result<Value> {
        let channel: ChannelId = voucher.channel.parse()?;
        let amount = Amount::new(voucher.amount);
        let signature = self.domain.sign(&voucher.key, channel, amount).await?;
        Ok(json!({
            "action": voucher.action,
            "channelId": voucher.channel,
            "cumulativeAmount": voucher.amount.to_string(),
            "descriptor": self.opening["payload"]["descriptor"],
            "signature": signature.to_string(),
        }))
    }

    /// As the value of an `Authorization` field, in answer to the same challenge.
    fn written(&self, payload: Value) -> anyhow::Result<String> {
        let mut credential = self.opening.clone();
        credential["payload"] = payload;
        Ok(format!("Payment {}", encoded::encode(&serde_json::to_vec(&credential)?)))
    }
}

/// Another spelling of the same signature.
fn otherwise(fraud: Fraud, signature: &str) -> anyhow::Result<String> {
    let bytes = hex::decode(signature)?;
    ensure!(bytes.len() == 65, "the signature has {} bytes", bytes.len());
    let (scalars, parity) = (&bytes[..64], bytes[64]);
    let (r, s) = (&scalars[..32], U256::from_be_slice(&scalars[32..]));
    let odd = parity == 28;
    let tail: B256 = match fraud {
        Fraud::HighS => (ORDER - s).into(),
        _ => (s | (U256::from(u8::from(odd)) << 255_usize)).into(),
    };
    let mut other = [r, tail.as_slice()].concat();
    if fraud == Fraud::HighS {
        other.push(if odd { 27 } else { 28 });
    }
    Ok(hex::encode_prefixed(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_forgery_differs_in_what_it_is_for() {
        let id = format!("0x{}", "0a".repeat(32));
        let opening = json!({
            "challenge": { "id": "i" },
            "payload": { "action": "open", "channelId": id, "descriptor": { "salt": "0x01" } },
        });
        let token = encoded::encode(&serde_json::to_vec(&opening).unwrap());
        let channel = Channel::opened_by(&format!("Payment {token}"), 42_431).unwrap();
        let payload = |shown: String| {
            let token = encoded::decode(shown.strip_prefix("Payment ").unwrap()).unwrap();
            serde_json::from_slice::<Value>(&token).unwrap()["payload"].clone()
        };
        let good = payload(channel.voucher(2_000).await.unwrap());
        for fraud in crate::interop::session::fraud::FRAUDS {
            let forged = payload(channel.forged(*fraud, 2_000).await.unwrap());
            assert_ne!(forged, good, "{fraud:?}");
        }
        let length = async |fraud| {
            let forged = payload(channel.forged(fraud, 2_000).await.unwrap());
            forged["signature"].as_str().unwrap().len()
        };
        assert_eq!((length(Fraud::HighS).await, length(Fraud::ShortSignature).await), (132, 130));
    }
}
