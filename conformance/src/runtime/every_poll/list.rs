//! Which public futures there are. That is read from the source: nothing is forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::{ImplItem, Item, ReturnType, Signature, Type, TypeParamBound, Visibility};

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
    let mut public = BTreeSet::new();
    for source in ["../carhop/src", "../runtime-core/src"] {
        find_in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source), &mut public);
    }
    let untried: Vec<_> = public.difference(&tried).collect();
    assert!(untried.is_empty(), "these futures are not dropped after each of their polls: {untried:#?}");
    let unknown: Vec<_> = tried.difference(&public).collect();
    assert!(unknown.is_empty(), "there are no such futures: {unknown:#?}");
}

fn find_in_folder(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_in_folder(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            let own = path.file_stem().filter(|&stem| stem != "mod").or(folder.file_name());
            find_in_items(own.unwrap().to_str().unwrap(), &file.items, found);
        }
    }
}

/// What is public in `module`: functions and methods that are async, return `impl Future` or poll, and types that are
/// futures or streams.
fn find_in_items(module: &str, items: &[Item], found: &mut BTreeSet<String>) {
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
                for method in &item.items {
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
