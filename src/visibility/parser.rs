//! From words to a query as it is written. Must not live here: what names and values mean.
//!
//! ```text
//! query       [either] [ORDER BY name [ASC|DESC] {, name [ASC|DESC]}] [GROUP BY name]
//! either      both {OR both}
//! both        one {AND one}
//! one         NOT one | ( either ) | name predicate
//! predicate   = value | != value | > value | >= value | < value | <= value
//!             | [NOT] IN ( value {, value} ) | [NOT] BETWEEN value AND value | [NOT] STARTS_WITH value | IS [NOT] NULL
//! ```

use crate::model::limits;

use super::error::QuerySyntaxError;
use super::evaluate::Comparison;
use super::syntax::{At, Expression, Predicate, Written, WrittenQuery};
use super::tokens::{Placed, Token, tokens};

/// Words that are no names unless they are in backquotes.
const KEYWORDS: [&str; 14] = [
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "STARTS_WITH",
    "IS",
    "NULL",
    "ORDER",
    "BY",
    "ASC",
    "DESC",
    "GROUP",
    "LIKE",
];

const SIGNS: &str = "=, !=, >, >=, <, <=, IN, BETWEEN, STARTS_WITH, IS NULL or IS NOT NULL";

pub(super) fn parse(query: &str) -> Result<WrittenQuery, QuerySyntaxError> {
    if query.len() > limits::QUERY_BYTES_MAX {
        let what = format!(
            "the query has {} bytes, more than {}",
            query.len(),
            limits::QUERY_BYTES_MAX
        );
        return Err(QuerySyntaxError::at(query, 0, what));
    }
    let mut parser = Parser {
        query,
        tokens: tokens(query)?,
        at: 0,
        depth: 0,
    };
    let mut written = WrittenQuery::default();
    if !parser.is_at_end() && !parser.sees("ORDER") && !parser.sees("GROUP") {
        written.expression = Some(parser.either()?);
    }
    if parser.takes("ORDER") {
        parser.expect("BY")?;
        written.order = parser.order()?;
    }
    if parser.takes("GROUP") {
        parser.expect("BY")?;
        written.group = Some(parser.name()?);
    }
    match parser.is_at_end() {
        true => Ok(written),
        false => Err(parser.unexpected("the query could end here, or go on with AND, OR or ORDER BY")),
    }
}

struct Parser<'a> {
    query: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn token(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    /// Where the next word begins.
    fn byte(&self) -> usize {
        self.tokens.get(self.at).map_or(self.query.len(), |(byte, _)| *byte)
    }

    fn sees(&self, keyword: &str) -> bool {
        matches!(self.token(), Some(Token::Name { text, quoted: false }) if text.eq_ignore_ascii_case(keyword))
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let found = self.sees(keyword);
        self.at += usize::from(found);
        found
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.token(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, keyword: &str) -> Result<(), QuerySyntaxError> {
        match self.takes(keyword) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("expected {keyword}"))),
        }
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), QuerySyntaxError> {
        match self.takes_sign(sign) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("expected `{sign}`"))),
        }
    }

    /// The next word is not what it should be.
    fn unexpected(&self, expected: &str) -> QuerySyntaxError {
        let found = match self.token() {
            None => "the query ends here".to_owned(),
            Some(Token::Name { text, .. }) => format!("found `{text}`"),
            Some(Token::Text(text)) => format!("found the text '{text}'"),
            Some(Token::Int(number)) => format!("found {number}"),
            Some(Token::Double(number)) => format!("found {number}"),
            Some(Token::Sign(sign)) => format!("found `{sign}`"),
        };
        QuerySyntaxError::at(self.query, self.byte(), format!("{found}; {expected}"))
    }

    fn either(&mut self) -> Result<Expression, QuerySyntaxError> {
        let mut several = vec![self.both()?];
        while self.takes("OR") {
            several.push(self.both()?);
        }
        Ok(joined(several, Expression::Or))
    }

    fn both(&mut self) -> Result<Expression, QuerySyntaxError> {
        let mut several = vec![self.one()?];
        while self.takes("AND") {
            several.push(self.one()?);
        }
        Ok(joined(several, Expression::And))
    }

    fn one(&mut self) -> Result<Expression, QuerySyntaxError> {
        self.depth += 1;
        if self.depth > limits::QUERY_DEPTH_MAX {
            let what = format!("more than {} levels of parentheses and NOT", limits::QUERY_DEPTH_MAX);
            return Err(QuerySyntaxError::at(self.query, self.byte(), what));
        }
        let one = if self.takes("NOT") {
            Ok(Expression::Not(Box::new(self.one()?)))
        } else if self.takes_sign("(") {
            let inside = self.either()?;
            self.expect_sign(")")?;
            Ok(inside)
        } else {
            self.predicate()
        };
        self.depth -= 1;
        one
    }

    fn predicate(&mut self) -> Result<Expression, QuerySyntaxError> {
        let name = self.name()?;
        if self.takes("IS") {
            let not = self.takes("NOT");
            self.expect("NULL")?;
            let is_null = Expression::Is(name, Predicate::IsNull);
            return Ok(if not { negated(is_null) } else { is_null });
        }
        let not = self.takes("NOT");
        let predicate = if self.takes("IN") {
            Predicate::In(self.values()?)
        } else if self.takes("BETWEEN") {
            let lower = self.value()?;
            self.expect("AND")?;
            Predicate::Between(lower, self.value()?)
        } else if self.takes("STARTS_WITH") {
            Predicate::StartsWith(self.value()?)
        } else if self.sees("LIKE") {
            return Err(self.unexpected("LIKE is not a part of the language; use STARTS_WITH"));
        } else if not {
            return Err(self.unexpected("expected IN, BETWEEN or STARTS_WITH after NOT"));
        } else {
            let byte = self.byte();
            let what = self
                .sign()
                .ok_or_else(|| self.unexpected(&format!("expected {SIGNS}")))?;
            Predicate::Compare(At { byte, what }, self.value()?)
        };
        let is = Expression::Is(name, predicate);
        Ok(if not { negated(is) } else { is })
    }

    fn sign(&mut self) -> Option<Comparison> {
        let Some(Token::Sign(sign)) = self.token() else {
            return None;
        };
        let sign = match *sign {
            "=" => Comparison::Equal,
            "!=" | "<>" => Comparison::NotEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            _ => return None,
        };
        self.at += 1;
        Some(sign)
    }

    fn name(&mut self) -> Result<At<String>, QuerySyntaxError> {
        let byte = self.byte();
        let is_keyword = |text: &str| KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(text));
        match self.token() {
            Some(Token::Name { text, quoted }) if *quoted || !is_keyword(text) => {
                let what = text.clone();
                self.at += 1;
                Ok(At { byte, what })
            }
            _ => Err(self.unexpected("expected the name of an attribute")),
        }
    }

    fn value(&mut self) -> Result<At<Written>, QuerySyntaxError> {
        let byte = self.byte();
        let what = match self.token() {
            Some(Token::Text(text)) => Written::Text(text.clone()),
            Some(Token::Int(number)) => Written::Int(*number),
            Some(Token::Double(number)) => Written::Double(*number),
            _ if self.sees("true") => Written::Bool(true),
            _ if self.sees("false") => Written::Bool(false),
            _ if self.sees("NULL") => return Err(self.unexpected("write IS NULL or IS NOT NULL")),
            Some(Token::Name { text, quoted: false }) => {
                let hint = format!("texts are put in quotes: '{text}'");
                return Err(self.unexpected(&hint));
            }
            _ => return Err(self.unexpected("expected a value: a 'text', a number, true or false")),
        };
        self.at += 1;
        Ok(At { byte, what })
    }

    fn values(&mut self) -> Result<Vec<At<Written>>, QuerySyntaxError> {
        self.expect_sign("(")?;
        let mut values = vec![self.value()?];
        while self.takes_sign(",") {
            values.push(self.value()?);
        }
        self.expect_sign(")")?;
        Ok(values)
    }

    fn order(&mut self) -> Result<Vec<(At<String>, bool)>, QuerySyntaxError> {
        let mut order = Vec::new();
        loop {
            let name = self.name()?;
            let descending = self.takes("DESC");
            if !descending {
                self.takes("ASC");
            }
            order.push((name, descending));
            if !self.takes_sign(",") {
                return Ok(order);
            }
        }
    }
}

fn negated(expression: Expression) -> Expression {
    Expression::Not(Box::new(expression))
}

/// One of several, or the only one.
fn joined(mut several: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (several.len(), several.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            several.extend(last);
            join(several)
        }
    }
}
