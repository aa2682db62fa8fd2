//! Names that were meant. Must not live here: what they are names of.

/// The known name that is close to the one that was written, whatever its case.
pub(crate) fn nearest_name<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // About a third of the letters may be wrong, at least one: more than that is another word. Two letters that changed
    // places are two wrong ones, so from five letters on two are allowed.
    let allowed = ((written.chars().count() + 1) / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= allowed && *distance < written.chars().count())
        .min()
        .map(|(_, name)| name)
}

/// How many letters to insert, remove or replace to get from one word to the other, whatever their case.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.to_lowercase().chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(line + 1);
        for ((above, diagonal), other) in row.iter().skip(1).zip(&row).zip(&to) {
            let left = next.last().copied().unwrap_or_default();
            let replaced = diagonal + usize::from(letter != *other);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters() {
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
        assert_eq!(nearest_name("starttime", ["StartTime", "CloseTime"]), Some("StartTime"));
        assert_eq!(nearest_name("other", ["StartTime", "CloseTime"]), None);
    }
}
