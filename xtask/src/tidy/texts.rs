//! Committed texts name no place that exists on one machine only.

use super::Violation;

/// Split, because this file is a committed text too.
const PLACES: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/tmp", "/t-"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("../", "shared"),
];

/// The machine paths in one text.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for place in PLACES {
            if line.match_indices(place).any(|(at, _)| !is_inside_a_path(line, at)) {
                let what = format!("`{place}` is a path of one machine: nobody else has it");
                found.push(Violation::new(path, index + 1, what));
            }
        }
    }
    found
}

/// Whether what stands here is the middle of something longer, such as the path of a URL.
fn is_inside_a_path(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|before| before.chars().next_back());
    before.is_some_and(|char| char.is_ascii_alphanumeric() || "_-.}".contains(char))
}
