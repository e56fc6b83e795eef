//! Random nonces, drawn from the system a page at a time.

use std::sync::{Mutex, PoisonError};

const PAGE: usize = 4096;

/// A source of nonces that are never repeated; a system call every 256 of them.
pub(crate) struct Nonces(Mutex<Page>);

struct Page {
    bytes: Box<[u8; PAGE]>,
    used: usize,
}

impl Nonces {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Page { bytes: Box::new([0; PAGE]), used: PAGE }))
    }

    /// Draws one. Fails where the system has no randomness: a challenge without it could be shared by two payers.
    pub(crate) fn draw(&self) -> Result<[u8; 16], getrandom::Error> {
        let mut page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if page.used >= PAGE {
            getrandom::fill(&mut page.bytes[..])?;
            page.used = 0;
        }
        let mut nonce = [0; 16];
        let from = page.used;
        nonce.copy_from_slice(&page.bytes[from..from + 16]);
        // Drawn once and gone: a later look at this memory tells nothing of challenges already out.
        page.bytes[from..from + 16].fill(0);
        page.used += 16;
        Ok(nonce)
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_is_drawn_twice() {
        let nonces = Nonces::new();
        let drawn: std::collections::HashSet<_> =
            (0..2_000).map(|_| nonces.draw().unwrap()).collect();
        assert_eq!(drawn.len(), 2_000);
    }
}
