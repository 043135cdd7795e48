//! The options in the parentheses of an attribute.

use proc_macro2::{Ident, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Error, LitStr, Path, Result, Token, parse_quote};

/// The options, as the generated code needs them.
pub struct Options {
    /// Where carhop is.
    pub krate: Path,
    /// A variant of `carhop::Backend`.
    pub backend: Option<Ident>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut krate = None;
        let mut backend = None;
        while !input.is_empty() {
            // A token rather than an identifier: `crate` is a keyword, and anything else gets the same error.
            let name: TokenTree = input.parse()?;
            match name.to_string().as_str() {
                "backend" => set(&mut backend, &name, parse_backend(&parse_value(input, &name)?)?)?,
                // Short for `backend = "sim"`.
                "sim" => set(&mut backend, &name, Ident::new("Sim", name.span()))?,
                "crate" => set(&mut krate, &name, parse_crate(&parse_value(input, &name)?)?)?,
                other => {
                    let message = format!("unknown option `{other}`: expected `backend`, `sim` or `crate`");
                    return Err(Error::new(name.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self { krate: krate.unwrap_or_else(|| parse_quote!(::carhop)), backend })
    }
}

/// An error points at the name: if the value is missing, there may be no other token.
fn parse_value(input: ParseStream<'_>, name: &TokenTree) -> Result<LitStr> {
    input
        .parse::<Token![=]>()
        .and_then(|_| input.parse())
        .map_err(|_| Error::new(name.span(), format!("expected `{name} = \"…\"`")))
}

fn set<T>(option: &mut Option<T>, name: &TokenTree, value: T) -> Result<()> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(name.span(), format!("option `{name}` is given twice"))),
    }
}

/// The variant has the span of the value, so that a complaint about it points there.
fn parse_backend(value: &LitStr) -> Result<Ident> {
    let variant = match value.value().as_str() {
        "auto" => "Auto",
        "epoll" => "Epoll",
        "uring" => "Uring",
        "sim" => "Sim",
        other => {
            let message = format!("unknown backend `{other}`: expected `auto`, `epoll`, `uring` or `sim`");
            return Err(Error::new(value.span(), message));
        }
    };
    Ok(Ident::new(variant, value.span()))
}

fn parse_crate(value: &LitStr) -> Result<Path> {
    value.parse_with(Path::parse_mod_style).map_err(|_| {
        Error::new(value.span(), format!("`{}` is not the path of a crate or module", value.value()))
    })
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    fn parsed(options: &str) -> (String, Option<String>) {
        let Options { krate, backend } = syn::parse_str(options).unwrap();
        (krate.to_token_stream().to_string().replace(' ', ""), backend.map(|variant| variant.to_string()))
    }

    /// The text that the error points at, and what it says.
    fn refused(options: &str) -> (String, String) {
        let error = syn::parse_str::<Options>(options).err().expect("refused");
        (error.span().source_text().unwrap_or_default(), error.to_string())
    }

    fn said(at: &str, message: &str) -> (String, String) {
        (at.to_owned(), message.to_owned())
    }

    #[test]
    fn every_option_has_a_default() {
        assert_eq!(parsed(""), ("::carhop".to_owned(), None));
    }

    #[test]
    fn every_backend_has_a_name() {
        for (name, variant) in [("auto", "Auto"), ("epoll", "Epoll"), ("uring", "Uring"), ("sim", "Sim")] {
            assert_eq!(parsed(&format!("backend = {name:?}")).1.as_deref(), Some(variant));
        }
    }

    #[test]
    fn the_simulator_has_a_short_name() {
        assert_eq!(parsed("sim").1.as_deref(), Some("Sim"));
        assert_eq!(refused(r#"sim, backend = "epoll""#).1, "option `backend` is given twice");
    }

    #[test]
    fn options_come_in_any_order_and_with_a_trailing_comma() {
        let both = ("my::carhop".to_owned(), Some("Epoll".to_owned()));
        assert_eq!(parsed(r#"backend = "epoll", crate = "my::carhop""#), both);
        assert_eq!(parsed(r#"crate = "my::carhop", backend = "epoll","#), both);
    }

    #[test]
    fn a_crate_is_any_plain_path() {
        for path in ["carhop", "::carhop", "crate", "self::carhop", "super::rt"] {
            assert_eq!(parsed(&format!("crate = {path:?}")).0, path);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_where_it_stands() {
        let unknown_backend = "unknown backend `kqueue`: expected `auto`, `epoll`, `uring` or `sim`";
        assert_eq!(refused(r#"backend = "kqueue""#), said("\"kqueue\"", unknown_backend));

        let unknown_option = "unknown option `flavor`: expected `backend`, `sim` or `crate`";
        assert_eq!(refused(r#"flavor = "multi_thread""#), said("flavor", unknown_option));
        assert_eq!(refused(r#"crate = "c", flavor"#), said("flavor", unknown_option));

        let unnamed = "unknown option `\"uring\"`: expected `backend`, `sim` or `crate`";
        assert_eq!(refused(r#""uring""#), said("\"uring\"", unnamed));

        let path = "`my carhop` is not the path of a crate or module";
        assert_eq!(refused(r#"crate = "my carhop""#), said("\"my carhop\"", path));
        assert_eq!(refused(r#"crate = """#).1, "`` is not the path of a crate or module");
    }

    #[test]
    fn an_option_given_twice_is_refused_at_the_second() {
        let error = syn::parse_str::<Options>("backend = \"epoll\",\nbackend = \"epoll\"").err().unwrap();
        assert_eq!((error.span().start().line, error.span().start().column), (2, 0));
        assert_eq!(error.to_string(), "option `backend` is given twice");
        assert_eq!(refused(r#"crate = "a", crate = "b""#), said("crate", "option `crate` is given twice"));
    }

    #[test]
    fn malformed_options_are_refused() {
        for malformed in ["backend", "backend =", "backend = epoll", "backend = 1", "backend: \"epoll\""] {
            assert_eq!(refused(malformed), said("backend", "expected `backend = \"…\"`"));
        }
        assert_eq!(refused("crate = carhop"), said("crate", "expected `crate = \"…\"`"));
        assert_eq!(refused(r#"backend = "epoll" crate = "c""#), said("crate", "expected `,`"));
    }
}
