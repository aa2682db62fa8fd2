//! The words of a query. Must not live here: their order.

use super::error::QuerySyntaxError;

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword; `quoted` names are in backquotes, and never keywords.
    Name {
        text: String,
        quoted: bool,
    },
    Text(String),
    Int(i64),
    Double(f64),
    /// One of `( ) ,` and the comparisons.
    Sign(&'static str),
}

/// A word and the byte that it begins at.
pub(super) type Placed = (usize, Token);

/// Longer ones first.
const SIGNS: [&str; 11] = ["!=", "<>", ">=", "<=", "=", ">", "<", "(", ")", ",", ";"];

pub(super) fn tokens(query: &str) -> Result<Vec<Placed>, QuerySyntaxError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = rest(query, at).chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, bytes) = token(query, at, first)?;
        found.push((at, token));
        at += bytes;
    }
    Ok(found)
}

fn rest(query: &str, at: usize) -> &str {
    query.get(at..).unwrap_or_default()
}

fn token(query: &str, at: usize, first: char) -> Result<(Token, usize), QuerySyntaxError> {
    let rest = rest(query, at);
    match first {
        '\'' | '"' => quoted(query, at, first).map(|(text, bytes)| (Token::Text(text), bytes)),
        '`' => quoted(query, at, first).map(|(text, bytes)| (Token::Name { text, quoted: true }, bytes)),
        '0'..='9' | '-' | '+' | '.' => number(query, at),
        _ if first.is_alphabetic() || first == '_' => {
            let is_of_it = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
            let end = rest.find(|letter| !is_of_it(letter)).unwrap_or(rest.len());
            let text = rest.get(..end).unwrap_or_default().to_owned();
            Ok((Token::Name { text, quoted: false }, end))
        }
        _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => Ok((Token::Sign(sign), sign.len())),
            None => Err(QuerySyntaxError::at(
                query,
                at,
                format!("`{first}` has no meaning here"),
            )),
        },
    }
}

/// A text up to the same quote, which stands for itself when it is there twice.
fn quoted(query: &str, at: usize, quote: char) -> Result<(String, usize), QuerySyntaxError> {
    let mut text = String::new();
    let mut letters = rest(query, at).char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if letter != quote {
            text.push(letter);
        } else if letters.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return Ok((text, place + quote.len_utf8()));
        }
    }
    let what = format!("the text that begins here has no end; close it with {quote}");
    Err(QuerySyntaxError::at(query, at, what))
}

fn number(query: &str, at: usize) -> Result<(Token, usize), QuerySyntaxError> {
    let rest = rest(query, at);
    let is_of_it = |(place, letter): (usize, char)| {
        let after_exponent = place > 0 && matches!(rest.as_bytes().get(place - 1), Some(b'e' | b'E'));
        letter.is_alphanumeric() || letter == '.' || (matches!(letter, '-' | '+') && (place == 0 || after_exponent))
    };
    let end = rest
        .char_indices()
        .find(|place| !is_of_it(*place))
        .map_or(rest.len(), |(place, _)| place);
    let text = rest.get(..end).unwrap_or_default();
    let token = match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) => Token::Int(whole),
        (_, Ok(number)) if number.is_finite() => Token::Double(number),
        _ => {
            let what = format!("`{text}` is not a number; texts and times are put in quotes: '{text}'");
            return Err(QuerySyntaxError::at(query, at, what));
        }
    };
    Ok((token, end))
}
