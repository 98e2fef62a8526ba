//! The word someone may have meant.

/// Words longer than this are no misspelt settings.
const LONGEST: usize = 64;

/// The known word nearest to this one, if it is near enough to be a slip of the hand: a third of its letters at most.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST {
        return None;
    }
    let folded = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (distance(&folded, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(folded.len()).div_ceil(3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance with neighbouring letters exchanged counted as one slip (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut line = Vec::with_capacity(last.len());
        line.push(row + 1);
        for (column, candidate) in other.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, column + 1) + 1)
                .min(at(&line, column) + 1)
                .min(at(&last, column) + usize::from(letter != candidate));
            let exchanged =
                row > 0 && column > 0 && one.get(row - 1) == Some(candidate) && other.get(column - 1) == Some(letter);
            if exchanged {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            line.push(best);
        }
        before_last = std::mem::replace(&mut last, line);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::fault::nearest::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_does_not() {
        let known = ["max_message_size", "listen", "allow", "require"];
        assert_eq!(nearest("max_mesage_size", known), Some("max_message_size"));
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("Max-Message-Size", known), Some("max_message_size"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"a".repeat(1_000_000), known), None);
    }

    #[test]
    fn neighbours_exchanged_are_one_slip() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
