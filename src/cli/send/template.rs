//! Texts with columns in them: `Dear {name}, your order {order} is on its way`. `{{` and `}}` are braces, `{2}` is the second column.

use crate::number::list::same_name;
use crate::number::records::Record;
use crate::text::template;

/// A text that each line of a file fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A column, from 0.
    Column(usize),
}

impl Template {
    /// `names`: the file's columns; empty if it has no header.
    pub(super) fn parse(text: &str, names: &[String]) -> Result<Template, String> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let read = template::pieces(text).ok_or("text: a brace stands alone; a column is {name}, a brace itself {{ or }}")?;
        for piece in read {
            match piece {
                template::Piece::Text(text) => plain += text,
                template::Piece::Name(name) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Column(column(name, names)?));
                }
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template(pieces))
    }

    /// The text of one column.
    pub(super) fn of_column(column: usize) -> Template {
        Template(vec![Piece::Column(column)])
    }

    /// The text, if every line has the same.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text of a line; an empty field is empty.
    ///
    /// # Errors
    /// The first column, from 1, that the line doesn't have.
    pub(super) fn fill(&self, record: &Record<'_>) -> Result<String, usize> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text += plain,
                Piece::Column(column) if *column < record.len() => text += &record.text(*column),
                Piece::Column(column) => return Err(column + 1),
            }
        }
        Ok(text)
    }
}

fn column(name: &str, names: &[String]) -> Result<usize, String> {
    if let Some(at) = names.iter().position(|other| same_name(other, name)) {
        return Ok(at);
    }
    if let Ok(place @ 1..) = name.trim().parse::<usize>() {
        return Ok(place - 1);
    }
    match names {
        [] => Err(format!("text: {{{name}}} names a column, and the first line is no header; count columns instead: {{2}}")),
        names => Err(format!("text: no column is called '{name}'; the first line has: {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::records::Records;

    fn filled(text: &str, names: &[&str]) -> Result<String, String> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let template = Template::parse(text, &names)?;
        let mut records = Records::open(&b"13800138000, Ada ,7,\n"[..]).unwrap();
        template.fill(&records.read().unwrap().unwrap()).map_err(|column| format!("no column {column}"))
    }

    #[test]
    fn columns_are_filled_by_name_or_place_and_braces_can_be_written() {
        let names = ["phone", "First Name", "order"];
        assert_eq!(filled("Dear {first_name}: {{{order}}}!", &names), Ok("Dear Ada: {7}!".to_owned()));
        assert_eq!(filled("{2} {3}{4}", &[]), Ok("Ada 7".to_owned()), "an empty field is there");
        assert_eq!(filled("{2} {3}{9}", &[]), Err("no column 9".to_owned()));
        assert_eq!(Template::parse("Hello }}", &[]).unwrap().fixed(), Some("Hello }"));
        assert_eq!(Template::parse("{1}", &[]).unwrap().fixed(), None);
    }

    #[test]
    fn what_is_no_column_is_told_with_those_that_are() {
        let told = filled("Dear {nmae}", &["phone", "name"]).unwrap_err();
        assert_eq!(told, "text: no column is called 'nmae'; the first line has: phone, name");
        assert!(filled("Dear {name}", &[]).unwrap_err().contains("no header"));
        assert!(filled("a } b", &["a"]).unwrap_err().contains("stands alone"));
        assert!(filled("a { b", &["a"]).unwrap_err().contains("stands alone"));
    }
}
