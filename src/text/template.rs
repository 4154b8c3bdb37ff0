//! Texts with names in braces: `Dear {name}, your order {order} is on its way`. `{{` and `}}` are braces themselves.

/// A piece of such a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'t> {
    /// As it stands.
    Text(&'t str),
    /// The name of what stands here.
    Name(&'t str),
}

/// The pieces of `text`, in order; several texts may follow each other. `None`: a brace stands alone.
pub fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            pieces.push(Piece::Text(&rest[..1]));
            rest = &rest[2..];
            continue;
        }
        let end = rest.find('}').filter(|_| rest.starts_with('{'))?;
        pieces.push(Piece::Name(&rest[1..end]));
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_braces_and_braces_are_written_twice() {
        use Piece::{Name, Text};
        assert_eq!(
            pieces("Dear {name}: {{{order}}}"),
            Some(vec![Text("Dear "), Name("name"), Text(": "), Text("{"), Name("order"), Text("}")])
        );
        assert_eq!(pieces(""), Some(vec![]));
        assert_eq!(pieces("a } b"), None);
        assert_eq!(pieces("a { b"), None);
    }
}
