//! Channels as the chain keeps them, and the way around their grace period.

use alloy::primitives::{Address, B256, U256, hex};
use serde_json::{Value, json};

use super::{
    CHANNEL_RESERVE, Devnet, DevnetError,
    contracts::{self, entry, slot},
};

/// Where both contracts keep their channels.
const CHANNELS: u64 = 0;

/// Bits of a reserve's slot below the time of the close request: settled and deposit.
const RESERVE_REQUEST: usize = 2 * 96;
/// Bits of an escrow's first slot below it: whether it is finalized.
const ESCROW_REQUEST: usize = 8;

/// What [`CHANNEL_RESERVE`] keeps of a channel: all zero before it is opened, and once it is closed or withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// What was paid out to the payee so far, in base units.
    pub settled: u128,
    /// What was paid in so far, in base units; zero of no channel.
    pub deposit: u128,
    /// Unix seconds of the payer's request to close; zero where there is none.
    pub close_requested_at: u64,
}

/// What the escrow of sessions v1 keeps of a channel: all zero before it is opened, and for ever from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EscrowState {
    /// Whether it was closed or withdrawn.
    pub finalized: bool,
    /// Unix seconds of the payer's request to close; zero where there is none.
    pub close_requested_at: u64,
    /// Who opened it.
    pub payer: Address,
    /// Who is paid.
    pub payee: Address,
    /// The token.
    pub token: Address,
    /// Who signs vouchers; zero for the payer.
    pub authorized_signer: Address,
    /// What was paid in so far, in base units.
    pub deposit: u128,
    /// What was paid out to the payee so far, in base units.
    pub settled: u128,
}

impl Devnet {
    /// The escrow of sessions v1 that peers look for on this chain.
    pub fn session_escrow(&self) -> Address {
        contracts::escrow(self.chain_id)
    }

    /// What `account` holds of `token`, in base units.
    ///
    /// # Errors
    /// What the node said.
    pub async fn balance(&self, token: Address, account: Address) -> Result<u128, DevnetError> {
        self.balance_of(&token.to_string(), &account.to_string()).await
    }

    /// What the reserve keeps of a channel.
    ///
    /// # Errors
    /// What the node said.
    pub async fn channel_state(&self, id: B256) -> Result<ChannelState, DevnetError> {
        const GET_CHANNEL_STATE: &str = "0xd18da8b1";
        let words = self.ask(CHANNEL_RESERVE, GET_CHANNEL_STATE, id).await?;
        let [settled, deposit, requested] = words.as_slice() else { return Err(not_understood()) };
        Ok(ChannelState {
            settled: number(*settled)?,
            deposit: number(*deposit)?,
            close_requested_at: number(*requested)?,
        })
    }

    /// What the escrow of sessions v1 keeps of a channel.
    ///
    /// # Errors
    /// What the node said.
    pub async fn escrow_state(&self, id: B256) -> Result<EscrowState, DevnetError> {
        const GET_CHANNEL: &str = "0x831c2b82";
        let words = self.ask(self.session_escrow(), GET_CHANNEL, id).await?;
        let [finalized, requested, payer, payee, token, signer, deposit, settled] =
            words.as_slice()
        else {
            return Err(not_understood());
        };
        let address = |word: &U256| Address::from_word((*word).into());
        Ok(EscrowState {
            finalized: !finalized.is_zero(),
            close_requested_at: number(*requested)?,
            payer: address(payer),
            payee: address(payee),
            token: address(token),
            authorized_signer: address(signer),
            deposit: number(*deposit)?,
            settled: number(*settled)?,
        })
    }

    /// Makes it so that the payer asked to close this long before the latest block, whether or not it did: no test waits
    /// for the grace period, and the clock is left alone. For channels of the reserve and of the escrow, while nobody
    /// else is at them.
    ///
    /// # Errors
    /// [`DevnetError::NoChannel`] for one that is not open; otherwise what the node said.
    pub async fn request_close_long_ago(&self, id: B256, seconds: u64) -> Result<(), DevnetError> {
        let block = self.rpc("eth_getBlockByNumber", json!(["latest", false])).await?;
        let now = quantity(block.get("timestamp"))?;
        let then = now.saturating_sub(U256::from(seconds)).max(U256::ONE);
        let (contract, shift, width) = self.kept_at(id).await?;
        let (contract, first) = (contract.to_string(), entry(id, slot(CHANNELS)).to_string());
        let word = self.rpc("eth_getStorageAt", json!([contract, first, "latest"])).await?;
        let mask: U256 = ((U256::ONE << width) - U256::ONE) << shift;
        let word = (quantity(Some(&word))? & !mask) | ((then << shift) & mask);
        let word = B256::from(word).to_string();
        self.rpc("anvil_setStorageAt", json!([contract, first, word])).await.map(drop)
    }

    /// Which contract has an open channel, and where in its first slot the time of the close request is: above how many
    /// bits, and how many it takes.
    async fn kept_at(&self, id: B256) -> Result<(Address, usize, usize), DevnetError> {
        if self.channel_state(id).await?.deposit != 0 {
            return Ok((CHANNEL_RESERVE, RESERVE_REQUEST, 32));
        }
        let known = self.escrow_state(id).await?;
        if known.payer == Address::ZERO || known.finalized {
            return Err(DevnetError::NoChannel { id });
        }
        Ok((self.session_escrow(), ESCROW_REQUEST, 64))
    }

    /// The words that a contract answers to a question about a channel.
    async fn ask(&self, to: Address, selector: &str, id: B256) -> Result<Vec<U256>, DevnetError> {
        let call =
            json!({ "to": to.to_string(), "data": format!("{selector}{}", hex::encode(id)) });
        let answer = self.rpc("eth_call", json!([call, "latest"])).await?;
        let bytes = answer.as_str().and_then(|text| hex::decode(text).ok());
        let bytes = bytes.ok_or_else(not_understood)?;
        Ok(bytes.chunks(32).map(U256::from_be_slice).collect())
    }
}

fn quantity(value: Option<&Value>) -> Result<U256, DevnetError> {
    let number = value.and_then(Value::as_str).and_then(|text| text.parse().ok());
    number.ok_or_else(not_understood)
}

fn number<T: TryFrom<U256>>(word: U256) -> Result<T, DevnetError> {
    T::try_from(word).map_err(|_| not_understood())
}

fn not_understood() -> DevnetError {
    DevnetError::Answer { method: "eth_call".to_owned() }
}
