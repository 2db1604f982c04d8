//! Splits entries into batches within SQS's limits.

use std::collections::BTreeMap;

/// The most entries that a batch takes.
const MAX_ENTRIES: usize = 10;
/// The most bytes of a batch, unless one message alone has more. SQS takes 1 MiB for both, but charges for each 64 KiB,
/// so a larger batch saves nothing. Endpoints with SQS's older limit take this one.
const MAX_BYTES: usize = 256 * 1024;

/// One entry of a batch: its position among all entries, its queue's name, its size in bytes.
pub(super) struct Sized<'a> {
    pub(super) at: usize,
    pub(super) queue: &'a str,
    pub(super) bytes: usize,
}

/// The positions of each batch, by queue, each within SQS's limits. An entry that is too large for a batch goes alone.
pub(super) fn parts(entries: &[Sized<'_>]) -> Vec<(String, Vec<usize>)> {
    let mut by_queue: BTreeMap<&str, Vec<&Sized<'_>>> = BTreeMap::new();
    for entry in entries {
        by_queue.entry(entry.queue).or_default().push(entry);
    }
    let mut parts = Vec::new();
    for (queue, entries) in by_queue {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            if part.len() == MAX_ENTRIES || (!part.is_empty() && bytes + entry.bytes > MAX_BYTES) {
                parts.push((queue.to_owned(), std::mem::take(&mut part)));
                bytes = 0;
            }
            part.push(entry.at);
            bytes += entry.bytes;
        }
        parts.push((queue.to_owned(), part));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(entries: &[(&str, usize)]) -> Vec<(String, Vec<usize>)> {
        let sized = entries.iter().enumerate().map(|(at, (queue, bytes))| Sized { at, queue, bytes: *bytes });
        parts(&sized.collect::<Vec<_>>())
    }

    #[test]
    fn batches_hold_ten_entries_of_one_queue() {
        let entries: Vec<(&str, usize)> = (0..23).map(|at| (["a", "b"][at % 2], 1)).collect();
        let lengths: Vec<_> = sizes(&entries).into_iter().map(|(queue, part)| (queue, part.len())).collect();
        let expected = [("a", 10), ("a", 2), ("b", 10), ("b", 1)];
        assert_eq!(lengths, expected.map(|(queue, length)| (queue.to_owned(), length)));
    }

    #[test]
    fn batches_stay_within_the_limit_of_bytes_and_a_giant_goes_alone() {
        let large = 200 * 1024;
        let parts = sizes(&[("a", large), ("a", large), ("a", 1), ("a", 1024 * 1024), ("a", 1)]);
        let parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
        assert_eq!(parts, [vec![0], vec![1, 2], vec![3], vec![4]]);
    }
}
