//! Names that nobody guesses and nobody has twice.

/// 128 random bits in hex; the system may have none to give.
pub(crate) fn name() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
