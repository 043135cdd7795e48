//! Which public futures there are. That is read from the source: nothing is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::parse::{ParseStream, Parser};
use syn::{
    File, ImplItem, Item, Macro, ReturnType, Signature, Token, Type, TypeParamBound, Visibility, braced,
    parenthesized,
};

use super::super::{Env, trials};

trials![there_is_a_trial_for_each_public_future];

/// The futures that the trials are about.
const TRIED: &[super::Futures] = &[
    super::sync::FUTURES,
    super::meetings::FUTURES,
    super::channels::FUTURES,
    super::tasks::FUTURES,
    super::groups::FUTURES,
    super::time::FUTURES,
    super::net::FUTURES,
    super::sockets::FUTURES,
    super::chunks::FUTURES,
    super::files::FUTURES,
];

fn there_is_a_trial_for_each_public_future(_: &Env) {
    let tried: BTreeSet<String> = TRIED.iter().copied().flatten().copied().map(str::to_owned).collect();
    let mut sources = Vec::new();
    for folder in ["../carhop/src", "../runtime-core/src"] {
        read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut sources);
    }
    let macros = sources.iter().flat_map(|(_, file)| macros_of_methods(&file.items)).collect();
    let mut public = BTreeSet::new();
    for (module, file) in &sources {
        find_in_items(module, &file.items, &macros, &mut public);
    }
    let untried: Vec<_> = public.difference(&tried).collect();
    assert!(untried.is_empty(), "these futures are not dropped after each of their polls: {untried:#?}");
    let unknown: Vec<_> = tried.difference(&public).collect();
    assert!(unknown.is_empty(), "there are no such futures: {unknown:#?}");
}

/// Reads all files below `folder`, with the names of their modules.
fn read_folder(folder: &Path, sources: &mut Vec<(String, File)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            let module = path.file_stem().filter(|&stem| stem != "mod").or(folder.file_name());
            sources.push((module.unwrap().to_str().unwrap().to_owned(), file));
        }
    }
}

/// What macros that stand in an `impl` write there, by their names.
type Macros = BTreeMap<String, Vec<ImplItem>>;

/// The macros among `items` that take nothing and are methods.
fn macros_of_methods(items: &[Item]) -> impl Iterator<Item = (String, Vec<ImplItem>)> {
    items.iter().filter_map(|item| match item {
        Item::Macro(item) => Some((item.ident.as_ref()?.to_string(), methods(&item.mac)?)),
        _ => None,
    })
}

fn methods(definition: &Macro) -> Option<Vec<ImplItem>> {
    let rule = |input: ParseStream<'_>| {
        let (nothing, body);
        parenthesized!(nothing in input);
        nothing.parse::<syn::parse::Nothing>()?;
        input.parse::<Token![=>]>()?;
        braced!(body in input);
        input.parse::<Token![;]>()?;
        let mut methods = Vec::new();
        while !body.is_empty() {
            methods.push(body.parse()?);
        }
        Ok(methods)
    };
    rule.parse2(definition.tokens.clone()).ok()
}

/// What is public in `module`: functions and methods that are async, return `impl Future` or poll, and types that are
/// futures or streams.
fn find_in_items(module: &str, items: &[Item], macros: &Macros, found: &mut BTreeSet<String>) {
    let is_public_type = |name: &str| {
        items.iter().any(|item| match item {
            Item::Struct(item) => is_public(&item.vis) && item.ident == name,
            Item::Enum(item) => is_public(&item.vis) && item.ident == name,
            _ => false,
        })
    };
    for item in items {
        match item {
            Item::Fn(item) if is_public(&item.vis) && is_future(&item.sig) => {
                found.insert(format!("{module}::{}", item.sig.ident));
            }
            Item::Impl(item) => {
                let Some(name) = last_name(&item.self_ty) else { continue };
                if let Some((path, _)) = &item.trait_ {
                    let of = path.segments.last().unwrap().ident.to_string();
                    if ["Future", "IntoFuture", "Stream"].contains(&&*of) && is_public_type(&name) {
                        found.insert(format!("{module}::{name}"));
                    }
                    continue;
                }
                let methods = item.items.iter().flat_map(|item| match item {
                    ImplItem::Macro(item) => &macros[&item.mac.path.require_ident().unwrap().to_string()],
                    item => std::slice::from_ref(item),
                });
                for method in methods {
                    if let ImplItem::Fn(method) = method
                        && is_public(&method.vis)
                        && is_future(&method.sig)
                    {
                        found.insert(format!("{module}::{name}::{}", method.sig.ident));
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_future(signature: &Signature) -> bool {
    let returns_future = || match &signature.output {
        ReturnType::Type(_, output) => match &**output {
            Type::ImplTrait(output) => output.bounds.iter().any(|bound| match bound {
                TypeParamBound::Trait(bound) => bound.path.segments.last().unwrap().ident == "Future",
                _ => false,
            }),
            _ => false,
        },
        ReturnType::Default => false,
    };
    signature.asyncness.is_some() || signature.ident.to_string().starts_with("poll_") || returns_future()
}

fn last_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}
