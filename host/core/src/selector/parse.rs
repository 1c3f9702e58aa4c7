//! The string form of label selectors, token by token as apimachinery's lexer and parser
//! read it: operators are read greedily, `in` and `notin` are words where a value stands.

use std::collections::BTreeSet;

use super::{LabelOperator, LabelRequirement, SelectorError, validation};

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    End,
    Comma,
    Open,
    Close,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
    /// A key or a value, or where an operator is due, `in` and `notin`.
    Word(&'a str),
    Unknown(&'a str),
}

impl<'a> Token<'a> {
    fn symbol(text: &'a str) -> Self {
        match text {
            "," => Self::Comma,
            "(" => Self::Open,
            ")" => Self::Close,
            "!" => Self::Not,
            "=" => Self::Equals,
            "==" => Self::DoubleEquals,
            "!=" => Self::NotEquals,
            ">" => Self::Greater,
            "<" => Self::Less,
            _ => Self::Unknown(text),
        }
    }

    fn text(self) -> &'a str {
        match self {
            Self::End => "",
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equals => "=",
            Self::DoubleEquals => "==",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::Word(text) | Self::Unknown(text) => text,
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
}

/// All requirements of a selector, in the order of the text.
pub(super) fn parse(text: &str) -> Result<Vec<LabelRequirement>, SelectorError> {
    let mut parser = Parser { text, offset: 0 };
    let mut requirements = Vec::new();
    if matches!(parser.peek(), Token::End) {
        return Ok(requirements);
    }
    if !parser.at_requirement() {
        return Err(parser.unexpected("!, identifier, or 'end of string'"));
    }
    loop {
        let requirement = parser.requirement().map_err(|error| SelectorError {
            message: format!("unable to parse requirement: {}", error.message),
            offset: error.offset,
        })?;
        requirements.push(requirement);
        match parser.peek() {
            Token::End => return Ok(requirements),
            Token::Comma => parser.advance(),
            _ => return Err(parser.unexpected("',' or 'end of string'")),
        }
        if !parser.at_requirement() {
            return Err(parser.unexpected("identifier after ','"));
        }
    }
}

impl<'a> Parser<'a> {
    fn requirement(&mut self) -> Result<LabelRequirement, SelectorError> {
        let negated = self.peek() == Token::Not;
        if negated {
            self.advance();
        }
        let start = self.skip_space();
        let Token::Word(key) = self.peek() else {
            return Err(self.unexpected("identifier"));
        };
        validation::key(key).map_err(|message| SelectorError {
            message,
            offset: start,
        })?;
        self.advance();
        let operator = match (negated, self.peek()) {
            (true, _) => LabelOperator::DoesNotExist,
            (false, Token::End | Token::Comma) => LabelOperator::Exists,
            (false, _) => self.binary_operator()?,
        };
        validation::requirement(LabelRequirement {
            key: key.to_owned(),
            operator,
        })
        .map_err(|message| SelectorError {
            message,
            offset: start,
        })
    }

    fn binary_operator(&mut self) -> Result<LabelOperator, SelectorError> {
        let token = self.peek();
        let constructor = match token {
            Token::Word("in") => return self.values().map(LabelOperator::In),
            Token::Word("notin") => return self.values().map(LabelOperator::NotIn),
            Token::Equals | Token::DoubleEquals => LabelOperator::Equals,
            Token::NotEquals => LabelOperator::NotEquals,
            Token::Greater => return self.bound().map(LabelOperator::GreaterThan),
            Token::Less => return self.bound().map(LabelOperator::LessThan),
            _ => return Err(self.unexpected(OPERATORS)),
        };
        self.advance();
        self.value().map(|value| constructor(value.to_owned()))
    }

    /// What follows `=` and its like; nothing is the empty value.
    fn value(&mut self) -> Result<&'a str, SelectorError> {
        match self.peek() {
            Token::End | Token::Comma => Ok(""),
            Token::Word(value) => {
                self.advance();
                Ok(value)
            }
            _ => Err(self.unexpected("identifier")),
        }
    }

    fn bound(&mut self) -> Result<i64, SelectorError> {
        self.advance();
        let offset = self.skip_space();
        let value = self.value()?;
        value.parse().map_err(|_| SelectorError {
            message: format!(
                "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            ),
            offset,
        })
    }

    /// `(a,b)` after `in` or `notin`. A value left out between commas is the empty one.
    fn values(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        self.advance();
        if self.peek() != Token::Open {
            return Err(self.unexpected("'('"));
        }
        self.advance();
        let mut values = BTreeSet::new();
        if self.peek() == Token::Close {
            self.advance();
            return Ok(values);
        }
        loop {
            if let Token::Word(value) = self.peek() {
                values.insert(value.to_owned());
                self.advance();
            } else {
                values.insert(String::new());
            }
            match self.peek() {
                Token::Comma => self.advance(),
                Token::Close => {
                    self.advance();
                    return Ok(values);
                }
                _ => return Err(self.unexpected("',' or ')'")),
            }
        }
    }

    fn at_requirement(&mut self) -> bool {
        matches!(self.peek(), Token::Word(_) | Token::Not)
    }

    fn unexpected(&mut self, expected: &str) -> SelectorError {
        let offset = self.skip_space();
        SelectorError {
            message: format!("found '{}', expected: {expected}", self.peek().text()),
            offset,
        }
    }

    fn peek(&mut self) -> Token<'a> {
        self.skip_space();
        let rest = self.rest();
        let word = rest
            .find(|character| is_space(character) || is_symbol(character))
            .unwrap_or(rest.len());
        if rest.is_empty() {
            Token::End
        } else if word > 0 {
            Token::Word(rest.get(..word).unwrap_or_default())
        } else {
            symbol_at(rest)
        }
    }

    fn advance(&mut self) {
        self.offset += self.peek().text().len();
    }

    fn skip_space(&mut self) -> usize {
        let rest = self.rest();
        self.offset += rest.len() - rest.trim_start_matches(is_space).len();
        self.offset
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }
}

/// The longest symbol that the text begins with.
fn symbol_at(rest: &str) -> Token<'_> {
    let candidates = [2, 1]
        .into_iter()
        .filter_map(|length| rest.get(..length))
        .map(Token::symbol);
    let mut known = candidates.filter(|token| !matches!(token, Token::Unknown(_)));
    known.next().unwrap_or(Token::Unknown(rest))
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_symbol(character: char) -> bool {
    matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}
