//! The stablecoin exchange: how a payer who holds one dollar token pays in another, in the same transaction.

use alloy::{
    primitives::{Address, Bytes, U256, address},
    sol_types::SolCall,
};

use super::transaction::Call;

/// The exchange every chain has.
pub const STABLECOIN_DEX: Address = address!("DEc0000000000000000000000000000000000000");

/// An exchange of one token for exactly so much of another, at no more than a price: an approval and a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Swap {
    /// What is given.
    pub token_in: Address,
    /// What is got.
    pub token_out: Address,
    /// How much is got, in base units.
    pub amount_out: u128,
    /// The most that is given, in base units.
    pub max_in: u128,
}

impl Swap {
    /// The two calls that make it: the exchange may take so much, and is told to.
    pub fn calls(&self, exchange: Address) -> [Call; 2] {
        let approve = abi::approveCall { spender: exchange, amount: U256::from(self.max_in) };
        let swap = abi::swapExactAmountOutCall {
            tokenIn: self.token_in,
            tokenOut: self.token_out,
            amountOut: self.amount_out,
            maxAmountIn: self.max_in,
        };
        [call(self.token_in, approve.abi_encode()), call(exchange, swap.abi_encode())]
    }

    /// Reads a swap that leads a payment, and what comes after it: calls that [`Swap::calls`] could have written, byte for
    /// byte. `None` where the calls begin otherwise.
    pub fn leading(calls: &[Call], exchange: Address) -> Option<(Self, &[Call])> {
        let [approve, swap, rest @ ..] = calls else { return None };
        let read = abi::swapExactAmountOutCall::abi_decode(&swap.data).ok()?;
        let found = Self {
            token_in: read.tokenIn,
            token_out: read.tokenOut,
            amount_out: read.amountOut,
            max_in: read.maxAmountIn,
        };
        (found.calls(exchange) == [approve.clone(), swap.clone()]).then_some((found, rest))
    }
}

/// The calldata that asks the exchange what so much of a token costs in another.
pub fn quote(token_in: Address, token_out: Address, amount_out: u128) -> Bytes {
    let call = abi::quoteSwapExactAmountOutCall {
        tokenIn: token_in,
        tokenOut: token_out,
        amountOut: amount_out,
    };
    call.abi_encode().into()
}

/// Reads the answer to [`quote`]: base units, or `None` for anything but one number of that size.
pub fn read_quote(answer: &[u8]) -> Option<u128> {
    let word: &[u8; 32] = answer.try_into().ok()?;
    U256::from_be_bytes(*word).try_into().ok()
}

fn call(to: Address, data: Vec<u8>) -> Call {
    Call { to, value: U256::ZERO, data: data.into() }
}

mod abi {
    alloy::sol! {
        function approve(address spender, uint256 amount) external returns (bool);
        function swapExactAmountOut(address tokenIn, address tokenOut, uint128 amountOut, uint128 maxAmountIn) external returns (uint128 amountIn);
        function quoteSwapExactAmountOut(address tokenIn, address tokenOut, uint128 amountOut) external view returns (uint128 amountIn);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ALPHA_USD, PATH_USD, tip20::Transfer},
        *,
    };

    fn swap() -> Swap {
        Swap { token_in: ALPHA_USD, token_out: PATH_USD, amount_out: 1_000_000, max_in: 1_010_000 }
    }

    fn transfer() -> Call {
        Transfer { to: PATH_USD, amount: U256::from(1), memo: None }.call(PATH_USD)
    }

    #[test]
    fn the_calls_are_those_that_deployed_clients_make() {
        let [approve, swap] = swap().calls(STABLECOIN_DEX);
        assert_eq!((approve.to, &approve.data[..4]), (ALPHA_USD, &[0x09, 0x5e, 0xa7, 0xb3][..]));
        assert_eq!((swap.to, &swap.data[..4]), (STABLECOIN_DEX, &[0xf0, 0x12, 0x2b, 0x75][..]));
    }

    #[test]
    fn a_swap_before_a_payment_is_read_only_as_it_is_written() {
        let written = [&swap().calls(STABLECOIN_DEX)[..], &[transfer()]].concat();
        let (read, rest) = Swap::leading(&written, STABLECOIN_DEX).unwrap();
        assert_eq!((read, rest), (swap(), &[transfer()][..]));
        assert!(Swap::leading(&[transfer()], STABLECOIN_DEX).is_none());
        type Edit = fn(&mut Vec<Call>);
        let edits: [(&str, Edit); 7] = [
            ("another approves", |c| c[0].to = PATH_USD),
            ("more is approved", |c| c[0].data = [&c[0].data[..67], &[0xff]].concat().into()),
            ("value", |c| c[0].value = U256::from(1)),
            ("another exchange", |c| c[1].to = PATH_USD),
            ("trailing bytes", |c| c[1].data = [&c[1].data[..], &[0]].concat().into()),
            ("dirty bytes", |c| {
                let mut dirty = c[1].data.to_vec();
                dirty[4] = 1;
                c[1].data = dirty.into();
            }),
            ("no swap", |c| drop(c.remove(1))),
        ];
        for (name, edit) in edits {
            let mut calls = written.clone();
            edit(&mut calls);
            assert!(Swap::leading(&calls, STABLECOIN_DEX).is_none(), "{name}");
        }
    }
}
