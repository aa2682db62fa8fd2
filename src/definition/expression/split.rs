//! Cutting a string into text and `${ .. }` expressions. Must not live here: what an expression means.

/// One piece of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text to be kept.
    Text(String),
    /// An expression without its `${` and `}`.
    Expression {
        /// The expression.
        source: String,
        /// Where its `${` is in the string, in bytes.
        offset: usize,
    },
}

/// A `${` without its `}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// Where the `${` is, in bytes.
    pub(super) offset: usize,
}

/// Cuts a string into its pieces. `$${` stands for a literal `${`.
pub(super) fn split(text: &str) -> Result<Vec<Piece>, Unclosed> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(dollar) = rest.find('$') else {
            literal.push_str(rest);
            break;
        };
        let (before, from_dollar) = rest.split_at(dollar);
        literal.push_str(before);
        at += dollar;
        if from_dollar.starts_with("$${") {
            literal.push_str("${");
            at += 3;
        } else if let Some(inside) = from_dollar.strip_prefix("${") {
            let length = expression_length(inside).ok_or(Unclosed { offset: at })?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Expression {
                source: inside.get(..length).unwrap_or_default().to_owned(),
                offset: at,
            });
            at += 2 + length + 1;
        } else {
            literal.push('$');
            at += 1;
        }
    }
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// How many bytes there are before the `}` that closes the expression: not one inside a string or a map.
fn expression_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(letter) = text.get(at..)?.chars().next() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            '"' | '\'' => {
                at += string_length(text.get(at..)?, letter, is_raw(text.get(..at)?))?;
                continue;
            }
            _ => {}
        }
        at += letter.len_utf8();
    }
    None
}

/// Whether the string literal that follows is raw: its prefix holds an `r`, and is not the end of a name.
fn is_raw(before: &str) -> bool {
    let name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let prefix = before.get(before.trim_end_matches(name).len()..).unwrap_or_default();
    matches!(prefix.to_ascii_lowercase().as_str(), "r" | "br" | "rb")
}

/// The length of the string literal that the text begins with, quotes included.
fn string_length(text: &str, quote: char, raw: bool) -> Option<usize> {
    let triple: String = [quote; 3].iter().collect();
    let quotes = if text.starts_with(&triple) {
        triple
    } else {
        quote.to_string()
    };
    let mut at = quotes.len();
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with(&quotes) {
            return Some(at + quotes.len());
        }
        let mut letters = rest.chars();
        let letter = letters.next()?;
        at += letter.len_utf8();
        if letter == '\\' && !raw {
            at += letters.next()?.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the pieces of a string: expressions in angle brackets.
    fn pieces(text: &str) -> String {
        match split(text) {
            Err(Unclosed { offset }) => format!("unclosed at {offset}"),
            Ok(pieces) => pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Expression { source, offset } => format!("<{source}@{offset}>"),
                })
                .collect(),
        }
    }

    #[test]
    fn strings_are_cut_where_an_expression_really_ends() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("${ a }", "< a @0>"),
            ("o-${a}-${b}", "o-<a@2>-<b@7>"),
            ("$5 and $${not}", "$5 and ${not}"),
            ("${ {'a': {}} }!", "< {'a': {}} @0>!"),
            ("${ '}' + \"}\" }", "< '}' + \"}\" @0>"),
            (r"${ '\'}' }", r"< '\'}' @0>"),
            (r"${ r'\' }", r"< r'\' @0>"),
            (r"${ bar'\'}' }", r"< bar'\'}' @0>"),
            ("${ '''}'}''' }", "< '''}'}''' @0>"),
            ("ü${a}", "ü<a@2>"),
            ("a ${ b", "unclosed at 2"),
            ("${ 'b }", "unclosed at 0"),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }
}
