//! From the function that the user wrote to the one that the compiler sees.

use std::fmt;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Generics, Result, ReturnType, Token, Visibility, parenthesized};

use crate::options::Options;

/// Which attribute stands on the function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    Main,
    Test,
}

/// Wraps a function in one of the same name that runs it.
///
/// If something is wrong, the output is the function, which nothing calls, and the errors beside it. So an editor still
/// understands its body, and the compiler does not complain of what follows from the mistake.
pub fn expand(entry: Entry, options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };

    let options = syn::parse2::<Options>(options);
    let mut errors = function.errors(entry);
    errors.extend(options.as_ref().err().cloned());
    let (output, call) = match options {
        Ok(options) if errors.is_empty() => (Some(&function.output), Some(call(entry, &options, &function))),
        _ => (None, None),
    };
    let errors = errors.iter().map(Error::to_compile_error);

    // By its full path: after `use carhop::test`, a plain `#[test]` would be this very macro.
    let test = (entry == Entry::Test).then(|| quote!(#[::core::prelude::v1::test]));
    let Function { attrs, vis, bare, name, .. } = &function;
    quote! {
        #(#errors)*
        #test
        #(#attrs)*
        #vis fn #name() #output {
            // Clippy would advise to remove an `async` that has to stay.
            #[allow(clippy::unused_async)]
            #bare
            #call
        }
    }
}

/// The call that hands the function to carhop: for `main` its future, for a test the function itself, which is called
/// once for each backend.
fn call(entry: Entry, Options { krate, backend }: &Options, function: &Function) -> TokenStream {
    let name = &function.name;
    match (entry, backend) {
        (Entry::Main, None) => quote!(#krate::__private::block_on_main(#krate::Backend::Auto, #name())),
        (Entry::Main, Some(backend)) => {
            quote!(#krate::__private::block_on_main(#krate::Backend::#backend, #name()))
        }
        (Entry::Test, backend) => {
            let only = match backend {
                None => quote!(::core::option::Option::None),
                Some(backend) => quote!(::core::option::Option::Some(#krate::Backend::#backend)),
            };
            if function.attrs.iter().any(|attr| attr.path().is_ident("should_panic")) {
                quote!(#krate::__private::test_should_panic(#only, #name))
            } else {
                quote!(#krate::__private::test(#only, #name))
            }
        }
    }
}

/// An `async fn`, or what was meant to be one, understood only as far as needed.
struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    /// All of it but the attributes and the visibility, which belong to the function around it.
    bare: TokenStream,
    asyncness: Option<Token![async]>,
    fn_token: Token![fn],
    name: Ident,
    generics: Generics,
    parameters: TokenStream,
    output: ReturnType,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let bare = input.fork().parse()?;
        let asyncness = input.parse()?;
        // Items other than functions fail here, and so do `const`, `unsafe` and `extern` functions: a runtime calls
        // none of them.
        let fn_token =
            input.parse().map_err(|error| Error::new(error.span(), "expected a plain `async fn`"))?;
        let name = input.parse()?;
        let generics = input.parse()?;
        let parentheses;
        parenthesized!(parentheses in input);
        let parameters = parentheses.parse()?;
        let output = input.parse()?;
        input.parse::<TokenStream>()?;
        Ok(Self { attrs, vis, bare, asyncness, fn_token, name, generics, parameters, output })
    }
}

impl Function {
    fn errors(&self, entry: Entry) -> Vec<Error> {
        let mut errors = Vec::new();
        if self.asyncness.is_none() {
            errors.push(Error::new(self.fn_token.span, format!("`{entry}` needs an `async fn`")));
        }
        if !self.generics.params.is_empty() {
            let message = format!("a function with `{entry}` cannot be generic");
            errors.push(Error::new_spanned(&self.generics, message));
        }
        if !self.parameters.is_empty() {
            let message = format!("a function with `{entry}` cannot take parameters");
            errors.push(Error::new_spanned(&self.parameters, message));
        }
        if entry == Entry::Test {
            let is_test =
                |attr: &&Attribute| attr.path().segments.last().is_some_and(|name| name.ident == "test");
            errors.extend(self.attrs.iter().find(is_test).map(|attr| {
                Error::new_spanned(
                    attr,
                    format!("`{entry}` already makes this a test: remove the second attribute"),
                )
            }));
        }
        errors
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entry::Main => "#[carhop::main]",
            Entry::Test => "#[carhop::test]",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> TokenStream {
        source.parse().unwrap()
    }

    #[track_caller]
    fn assert_expands(entry: Entry, options: &str, item: &str, expected: TokenStream) {
        // Spaces tell which punctuation is joint, which differs between quoted and parsed tokens.
        let text = |tokens: TokenStream| tokens.to_string().replace(' ', "");
        assert_eq!(text(expand(entry, tokens(options), tokens(item))), text(expected));
    }

    #[test]
    fn main_runs_on_the_default_runtime() {
        let expected = quote! {
            fn main() -> io::Result<()> {
                #[allow(clippy::unused_async)]
                async fn main() -> io::Result<()> { work().await }
                ::carhop::__private::block_on_main(::carhop::Backend::Auto, main())
            }
        };
        assert_expands(Entry::Main, "", "async fn main() -> io::Result<()> { work().await }", expected);
    }

    #[test]
    fn main_runs_on_a_backend() {
        let expected = quote! {
            fn main() {
                #[allow(clippy::unused_async)]
                async fn main() {}
                ::carhop::__private::block_on_main(::carhop::Backend::Uring, main())
            }
        };
        assert_expands(Entry::Main, r#"backend = "uring""#, "async fn main() {}", expected);
    }

    #[test]
    fn a_test_runs_on_every_backend() {
        let expected = quote! {
            #[::core::prelude::v1::test]
            fn answers() -> Result<(), Error> {
                #[allow(clippy::unused_async)]
                async fn answers() -> Result<(), Error> { Ok(()) }
                ::carhop::__private::test(::core::option::Option::None, answers)
            }
        };
        assert_expands(Entry::Test, "", "async fn answers() -> Result<(), Error> { Ok(()) }", expected);
    }

    #[test]
    fn a_test_runs_on_one_backend() {
        let expected = quote! {
            #[::core::prelude::v1::test]
            fn answers() {
                #[allow(clippy::unused_async)]
                async fn answers() {}
                ::carhop::__private::test(::core::option::Option::Some(::carhop::Backend::Epoll), answers)
            }
        };
        assert_expands(Entry::Test, r#"backend = "epoll""#, "async fn answers() {}", expected);
    }

    #[test]
    fn carhop_may_be_elsewhere() {
        let expected = quote! {
            fn main() {
                #[allow(clippy::unused_async)]
                async fn main() {}
                crate::rt::__private::block_on_main(crate::rt::Backend::Auto, main())
            }
        };
        let options = r#"crate = "crate::rt", backend = "auto""#;
        assert_expands(Entry::Main, options, "async fn main() {}", expected);
    }

    #[test]
    fn attributes_and_visibility_go_outside_and_the_rest_inside() {
        let expected = quote! {
            #[::core::prelude::v1::test]
            #[doc = "Why."]
            #[ignore = "slow"]
            #[should_panic(expected = "no")]
            pub(crate) fn refuses() {
                #[allow(clippy::unused_async)]
                async fn refuses() where u8: Copy { #![allow(unused)] panic!("no") }
                ::carhop::__private::test_should_panic(::core::option::Option::None, refuses)
            }
        };
        let item = r#"
            #[doc = "Why."] #[ignore = "slow"] #[should_panic(expected = "no")]
            pub(crate) async fn refuses() where u8: Copy { #![allow(unused)] panic!("no") }
        "#;
        assert_expands(Entry::Test, "", item, expected);
    }

    /// The text that each error points at, and what it says.
    fn refused(entry: Entry, item: &str) -> Vec<(String, String)> {
        let describe = |error: Error| (error.span().source_text().unwrap_or_default(), error.to_string());
        match syn::parse_str::<Function>(item) {
            Ok(function) => function.errors(entry).into_iter().map(describe).collect(),
            Err(error) => vec![describe(error)],
        }
    }

    #[track_caller]
    fn assert_refused(entry: Entry, item: &str, at: &str, message: &str) {
        assert_eq!(refused(entry, item), [(at.to_owned(), message.to_owned())]);
    }

    #[test]
    fn a_function_must_be_async() {
        assert_refused(Entry::Main, "pub fn main() {}", "fn", "`#[carhop::main]` needs an `async fn`");
        assert_refused(Entry::Test, "fn answers() {}", "fn", "`#[carhop::test]` needs an `async fn`");
    }

    #[test]
    fn a_function_must_not_take_parameters() {
        let message = "a function with `#[carhop::main]` cannot take parameters";
        assert_refused(
            Entry::Main,
            "async fn main(argc: i32, argv: Argv) {}",
            "argc: i32, argv: Argv",
            message,
        );
        let message = "a function with `#[carhop::test]` cannot take parameters";
        assert_refused(Entry::Test, "async fn answers(&self) {}", "&self", message);
    }

    #[test]
    fn a_function_must_not_be_generic() {
        let message = "a function with `#[carhop::main]` cannot be generic";
        assert_refused(Entry::Main, "async fn main<T: Copy>() {}", "<T: Copy>", message);
        let message = "a function with `#[carhop::test]` cannot be generic";
        assert_refused(Entry::Test, "async fn answers<'a>() {}", "<'a>", message);
    }

    #[test]
    fn a_function_must_be_a_function_that_a_runtime_can_call() {
        let message = "expected a plain `async fn`";
        assert_refused(Entry::Main, "pub struct Main;", "struct", message);
        assert_refused(Entry::Main, "async unsafe fn main() {}", "unsafe", message);
        assert_refused(Entry::Test, "const async fn answers() {}", "const", message);
        assert_refused(Entry::Test, "extern \"C\" fn answers() {}", "extern", message);
    }

    #[test]
    fn a_test_is_one_test() {
        let message = "`#[carhop::test]` already makes this a test: remove the second attribute";
        assert_refused(Entry::Test, "#[ignore] #[test] async fn answers() {}", "#[test]", message);
        assert_refused(Entry::Test, "#[tokio::test] async fn answers() {}", "#[tokio::test]", message);
        assert_eq!(refused(Entry::Main, "#[test] async fn main() {}"), []);
    }

    #[test]
    fn every_mistake_is_reported_and_the_function_is_left_uncalled() {
        let expected = quote! {
            ::core::compile_error! { "`#[carhop::test]` needs an `async fn`" }
            ::core::compile_error! { "a function with `#[carhop::test]` cannot take parameters" }
            ::core::compile_error! { "unknown option `flavor`: expected `backend`, `sim` or `crate`" }
            #[::core::prelude::v1::test]
            #[ignore]
            pub fn answers() {
                #[allow(clippy::unused_async)]
                fn answers(n: u8) -> u8 { n }
            }
        };
        assert_expands(Entry::Test, "flavor", "#[ignore] pub fn answers(n: u8) -> u8 { n }", expected);
    }

    #[test]
    fn what_is_no_function_is_left_as_it_is() {
        let expected = quote! {
            ::core::compile_error! { "expected a plain `async fn`" }
            struct Main { field: u8 }
        };
        assert_expands(Entry::Main, "", "struct Main { field: u8 }", expected);
    }
}
