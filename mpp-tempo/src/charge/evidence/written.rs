//! The stored form of evidence: plain texts, read back as strictly as what comes from the wire.

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{Evidence, Kind, Order, Proven, Sent};
use crate::{
    chain::{
        attribution::Attribution,
        parse_address, parse_hex,
        tip20::{Expected, MemoRule},
    },
    charge::{
        asked::Asked,
        promise::{self, NoEvidence},
    },
};

/// Evidence at rest.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Written {
    Transaction {
        transaction: String,
        #[serde(default)]
        mined: bool,
        #[serde(flatten)]
        asked: AskedWritten,
    },
    Hash {
        hash: String,
        payer: String,
        ends: i64,
        #[serde(flatten)]
        asked: AskedWritten,
    },
    Proof {
        source: String,
        challenge: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AskedWritten {
    chain_id: u64,
    token: String,
    transfers: Vec<Leg>,
    fixed_memo: bool,
}

#[derive(Serialize, Deserialize)]
struct Leg {
    to: String,
    amount: String,
    memo: Memo,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Memo {
    Exactly(String),
    Attributed(String),
    Unclaimed(String),
    Any,
}

impl From<Evidence> for Written {
    fn from(evidence: Evidence) -> Self {
        match evidence.0 {
            Kind::Signed(order) => Self::Transaction {
                transaction: order.raw().to_string(),
                mined: order.mined,
                asked: AskedWritten::from(&order.asked),
            },
            Kind::Sent(Sent { hash, asked, payer, ends }) => Self::Hash {
                hash: hash.to_string(),
                payer: payer.to_string(),
                ends,
                asked: AskedWritten::from(&asked),
            },
            Kind::Proven(Proven { account, challenge }) => {
                Self::Proof { source: account.to_string(), challenge }
            }
        }
    }
}

impl TryFrom<Written> for Evidence {
    type Error = NoEvidence;

    fn try_from(written: Written) -> Result<Self, NoEvidence> {
        Ok(Self(match written {
            Written::Transaction { transaction, mined, asked } => {
                let order = Order::read(promise::read(&transaction)?, asked.read()?)?;
                Kind::Signed(Box::new(Order { mined, ..order }))
            }
            Written::Hash { hash, payer, ends, asked } => Kind::Sent(Sent {
                hash: word(&hash)?,
                payer: address(&payer)?,
                ends,
                asked: asked.read()?,
            }),
            Written::Proof { source, challenge } => {
                let account = source.parse().map_err(|_| NoEvidence::Written)?;
                Kind::Proven(Proven { account, challenge })
            }
        }))
    }
}

impl From<&Asked> for AskedWritten {
    fn from(asked: &Asked) -> Self {
        let leg = |leg: &Expected| Leg {
            to: leg.to.to_string(),
            amount: leg.amount.to_string(),
            memo: match leg.memo {
                MemoRule::Exactly(memo) => Memo::Exactly(memo.to_string()),
                MemoRule::Attributed(attribution) => {
                    Memo::Attributed(attribution.memo(None).to_string())
                }
                MemoRule::Unclaimed(attribution) => {
                    Memo::Unclaimed(attribution.memo(None).to_string())
                }
                MemoRule::Any => Memo::Any,
            },
        };
        Self {
            chain_id: asked.chain_id,
            token: asked.token.to_string(),
            transfers: asked.legs.iter().map(leg).collect(),
            fixed_memo: asked.fixed_memo,
        }
    }
}

impl AskedWritten {
    fn read(self) -> Result<Asked, NoEvidence> {
        let legs = self.transfers.into_iter().map(Leg::read).collect::<Result<Vec<_>, _>>()?;
        if legs.is_empty() {
            return Err(NoEvidence::Written);
        }
        let token = address(&self.token)?;
        Ok(Asked { chain_id: self.chain_id, token, legs, fixed_memo: self.fixed_memo })
    }
}

impl Leg {
    fn read(self) -> Result<Expected, NoEvidence> {
        let amount = U256::from_str_radix(&self.amount, 10).map_err(|_| NoEvidence::Written)?;
        let memo = match self.memo {
            Memo::Exactly(memo) => MemoRule::Exactly(word(&memo)?),
            Memo::Attributed(memo) => MemoRule::Attributed(attribution(&memo)?),
            Memo::Unclaimed(memo) => MemoRule::Unclaimed(attribution(&memo)?),
            Memo::Any => MemoRule::Any,
        };
        Ok(Expected { to: address(&self.to)?, amount, memo })
    }
}

fn attribution(memo: &str) -> Result<Attribution, NoEvidence> {
    Attribution::of_memo(&word(memo)?).ok_or(NoEvidence::Written)
}

fn word(text: &str) -> Result<B256, NoEvidence> {
    let bytes = parse_hex(text).ok_or(NoEvidence::Written)?;
    B256::try_from(bytes.as_ref()).map_err(|_| NoEvidence::Written)
}

fn address(text: &str) -> Result<Address, NoEvidence> {
    parse_address(text).map_err(|_| NoEvidence::Written)
}
