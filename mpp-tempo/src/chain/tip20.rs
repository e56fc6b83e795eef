//! TIP-20 tokens: the transfers we ask for, in calldata and in the logs of a receipt.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolEvent},
};

use super::{
    rpc::{Log, Search},
    transaction::Call,
};

mod matching;

pub use matching::{Expected, MemoRule, Unmatched, find_calls, match_calls, match_logs};

/// One movement of tokens, as asked for by a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// Who receives.
    pub to: Address,
    /// Base units of the token.
    pub amount: U256,
    /// The memo of a `transferWithMemo`; `None` is a plain `transfer`.
    pub memo: Option<B256>,
}

impl Transfer {
    /// The call that makes this transfer.
    pub fn call(&self, token: Address) -> Call {
        Call { to: token, value: U256::ZERO, data: self.encode() }
    }

    /// The calldata: `transferWithMemo` if there is a memo, else `transfer`.
    pub fn encode(&self) -> Bytes {
        let Self { to, amount, memo } = *self;
        match memo {
            Some(memo) => abi::transferWithMemoCall { to, amount, memo }.abi_encode().into(),
            None => abi::transferCall { to, amount }.abi_encode().into(),
        }
    }

    /// Reads calldata that [`Transfer::encode`] could have written, byte for byte.
    ///
    /// Dirty high bytes and trailing bytes are refused: an ABI decoder drops them, and two spellings of one
    /// payment are how a check and the chain come to disagree.
    ///
    /// # Errors
    /// [`NotTransfer`].
    pub fn decode(data: &[u8]) -> Result<Self, NotTransfer> {
        let read = if data.starts_with(&abi::transferCall::SELECTOR) {
            abi::transferCall::abi_decode(data).map(|call| Self {
                to: call.to,
                amount: call.amount,
                memo: None,
            })
        } else if data.starts_with(&abi::transferWithMemoCall::SELECTOR) {
            abi::transferWithMemoCall::abi_decode(data).map(|call| Self {
                to: call.to,
                amount: call.amount,
                memo: Some(call.memo),
            })
        } else {
            return Err(NotTransfer::Selector);
        };
        read.ok()
            .filter(|transfer| transfer.encode().as_ref() == data)
            .ok_or(NotTransfer::Arguments)
    }
}

/// One movement of tokens, as a receipt's log tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moved {
    /// The token that moved: the contract that wrote the log.
    pub token: Address,
    /// Who paid.
    pub from: Address,
    /// To whom, how much, and with which memo.
    pub transfer: Transfer,
}

impl Moved {
    /// Reads a `Transfer` or `TransferWithMemo` log; any other log is `None`.
    ///
    /// A transfer with a memo writes both: count movements with [`match_logs`], never log by log.
    pub fn read(log: &Log) -> Option<Self> {
        let topics = || log.topics.iter().copied();
        if let Ok(event) = abi::Transfer::decode_raw_log_validate(topics(), &log.data) {
            let transfer = Transfer { to: event.to, amount: event.amount, memo: None };
            return Some(Self { token: log.address, from: event.from, transfer });
        }
        let event = abi::TransferWithMemo::decode_raw_log_validate(topics(), &log.data).ok()?;
        let transfer = Transfer { to: event.to, amount: event.amount, memo: Some(event.memo) };
        Some(Self { token: log.address, from: event.from, transfer })
    }
}

/// A search, in a range of blocks, for the logs of a token's transfers with a memo, from one account to another; with any
/// memo, where none is given.
pub fn memo_search(
    token: Address,
    (from, to, memo): (Address, Address, Option<B256>),
    (from_block, to_block): (u64, u64),
) -> Search {
    let event = abi::TransferWithMemo::SIGNATURE_HASH;
    let topics = vec![Some(event), Some(from.into_word()), Some(to.into_word()), memo];
    Search { address: token, topics, from_block, to_block }
}

/// The calldata that asks a token for an account's balance.
pub fn balance_of(account: Address) -> Bytes {
    abi::balanceOfCall { account }.abi_encode().into()
}

/// Reads the answer to [`balance_of`]: base units, or `None` for anything but one number.
pub fn read_balance(answer: &[u8]) -> Option<U256> {
    let word: &[u8; 32] = answer.try_into().ok()?;
    Some(U256::from_be_bytes(*word))
}

/// Why calldata is no transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTransfer {
    /// Another function.
    #[error("the call is neither transfer nor transferWithMemo")]
    Selector,
    /// The right function with arguments that are not canonical.
    #[error("the transfer's arguments are not canonical")]
    Arguments,
}

mod abi {
    alloy::sol! {
        function transfer(address to, uint256 amount) external returns (bool);
        function transferWithMemo(address to, uint256 amount, bytes32 memo) external;
        function balanceOf(address account) external view returns (uint256);

        event Transfer(address indexed from, address indexed to, uint256 amount);
        event TransferWithMemo(address indexed from, address indexed to, uint256 amount, bytes32 indexed memo);
    }
}

#[cfg(test)]
mod tests;
