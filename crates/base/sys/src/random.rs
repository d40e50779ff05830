//! Random bytes from the kernel, for ids and tokens.

use rustix::rand::{GetRandomFlags, getrandom};

/// Thirty-two random bytes: an id, or a token nobody can guess.
///
/// # Errors
/// The kernel's random source failed, which does not happen on a booted Linux.
pub fn bytes32() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0u8; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        assert_ne!(super::bytes32().expect("random"), super::bytes32().expect("random"));
    }
}
