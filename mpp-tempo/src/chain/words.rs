//! Words of 32 bytes, in which contracts are called and answer: written, and read in the one spelling that was written.

use alloy::primitives::{Address, B256, Bytes, U256, hex};

/// A number as a word.
pub(crate) fn of(number: u128) -> B256 {
    U256::from(number).into()
}

/// Hex of a known length, `0x` first, in any case.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 2 * N)?;
    // The decoder takes a prefix of its own.
    let digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)?;
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// Calldata: a selector, and words.
pub(crate) fn call(selector: [u8; 4], words: impl IntoIterator<Item = B256>) -> Bytes {
    let mut data = selector.to_vec();
    for word in words {
        data.extend_from_slice(word.as_slice());
    }
    data.into()
}

/// The same, with bytes of any length as the last argument.
pub(crate) fn call_with_bytes(
    selector: [u8; 4],
    words: impl IntoIterator<Item = B256>,
    bytes: &[u8],
) -> Bytes {
    let mut data = call(selector, words).to_vec();
    // The argument's own word tells where its bytes begin: behind itself.
    let offset = data.len() - selector.len() + 32;
    data.extend_from_slice(of(offset as u128).as_slice());
    data.extend_from_slice(of(bytes.len() as u128).as_slice());
    data.extend_from_slice(bytes);
    data.resize(selector.len() + offset + 32 + bytes.len().next_multiple_of(32), 0);
    data.into()
}

/// Words that are still to be read. Each reader takes one, and `None` is anything that nobody writes: too few of them, or bytes
/// set above the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a>(pub(crate) &'a [u8]);

impl<'a> Words<'a> {
    /// The arguments of a call.
    pub(crate) fn of_call(data: &'a [u8], selector: [u8; 4]) -> Option<Self> {
        data.strip_prefix(&selector).map(Self)
    }

    /// All 32 bytes.
    pub(crate) fn word(&mut self) -> Option<B256> {
        let (word, rest) = self.0.split_first_chunk::<32>()?;
        self.0 = rest;
        Some(B256::new(*word))
    }

    /// An account or a contract.
    pub(crate) fn address(&mut self) -> Option<Address> {
        to_address(self.word()?)
    }

    /// A number of at most so many bits.
    pub(crate) fn number(&mut self, bits: usize) -> Option<u128> {
        let number = U256::from_be_bytes(self.word()?.0);
        if number.bit_len() > bits { None } else { number.try_into().ok() }
    }

    /// A number that fits 64 bits, whatever the chain writes it in.
    pub(crate) fn small(&mut self) -> Option<u64> {
        self.number(64)?.try_into().ok()
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.number(1)? {
            0 => Some(false),
            _ => Some(true),
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// A word that holds an address and nothing else.
pub(crate) fn to_address(word: B256) -> Option<Address> {
    let address = Address::from_word(word);
    (address.into_word() == word).then_some(address)
}

#[cfg(test)]
mod tests;
